"""Pooling on a grid of tokens, and the settings of a block of MViT."""

import math
from collections.abc import Sequence

from pydantic import PositiveInt

from medvid.config.options import Options

Triple = tuple[PositiveInt, PositiveInt, PositiveInt]
Grid = tuple[int, ...]
"""Tokens along time, height and width."""


class Pooling(Options):
    """How the tokens of a grid (time, height, width) are pooled; padded by half a kernel on each side."""

    kernel: Triple
    stride: Triple = (1, 1, 1)

    @property
    def padding(self) -> tuple[int, int, int]:
        """Half a kernel, rounded down."""
        time, height, width = self.kernel
        return time // 2, height // 2, width // 2

    def pooled(self, grid: Grid) -> Grid:
        """What is left of a grid; it may be empty."""
        return slide(grid, self.kernel, self.stride, self.padding)

    @property
    def skip(self) -> "Pooling":
        """The maximum that the residual connection takes where queries are pooled like this."""
        return Pooling(kernel=_natural_kernel(self.stride), stride=self.stride)


class BlockSetting(Options):
    """One transformer block."""

    num_heads: PositiveInt
    input_channels: PositiveInt
    """Width of a token before the block."""
    output_channels: PositiveInt
    """Width of a token behind it."""
    pool_q: Pooling | None = None
    """How queries are pooled, and with them the block's output; default: not."""
    pool_kv: Pooling | None = None
    """How keys and values are pooled; default: not."""


def slide(grid: Grid, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Grid:
    """Number of places on each axis at which a kernel stops."""
    axes = zip(grid, kernel, stride, padding, strict=True)
    return tuple((length + 2 * pad - width) // step + 1 for length, width, step, pad in axes)


def make_pooling(kernel: Sequence[int] | None, stride: Sequence[int] | None) -> Pooling | None:
    """The pooling with these; None where there is no stride or, as in the published code, both have only ones."""
    if not stride:
        return None
    kernel = kernel or _natural_kernel(stride)
    return None if math.prod((*kernel, *stride)) == 1 else Pooling.model_validate({"kernel": kernel, "stride": stride})


def _natural_kernel(stride: Sequence[int]) -> tuple[int, int, int]:
    time, height, width = (step + 1 if step > 1 else 1 for step in stride)
    return time, height, width


def rounded(width: float, divisor: int = 1, least: int = 1) -> int:
    """The nearest multiple of the divisor, or the next one where that is less than nine tenths of the width."""
    result = max(least, int(width + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * width else result
