"""The widths, heads and grids of MViT's blocks, as its options give them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import PositiveInt

from medvid.config.options import Options

if TYPE_CHECKING:
    from medvid_mvit.config import MViTOptions

Triple = tuple[PositiveInt, PositiveInt, PositiveInt]
Grid = tuple[int, ...]
"""Tokens along time, height and width."""
Entries = TypeVar("Entries", bound=Sequence[tuple[Any, ...]])


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


def expand(options: "MViTOptions") -> tuple[BlockSetting, ...]:
    """The blocks one by one (MViT, section 3.2; MViTv2, section 4.1).

    Widths are rounded to a multiple of the heads, as published. v2 takes the heads of the block times its own factor
    once more; only small or odd widths show it.

    Raises:
        ValueError: an option names a block that there is not.
    """
    depth, late = options.depth, 0 if options.dim_mul_in_att else 1  # v1 widens in the MLP of the block before
    dim_mul = dict(_checked("dim_mul", options.dim_mul, range(late, depth + late)))
    head_mul = dict(_checked("head_mul", options.head_mul, range(depth)))
    stride_q = {block: stride for block, *stride in _checked("pool_q_stride", options.pool_q_stride, range(depth))}
    stride_kv = {block: stride for block, *stride in _checked("pool_kv_stride", options.pool_kv_stride, range(depth))}
    dims, heads, adaptive = [options.embed_dim], [options.num_heads], options.pool_kv_stride_adaptive
    for index in range(depth):
        heads.append(rounded(heads[-1] * head_mul.get(index, 1)))
        together = rounded(heads[-1] * head_mul.get(index + late, 1))
        dims.append(rounded(dims[-1] * dim_mul.get(index + late, 1), together))
        if adaptive:
            time, height, width = map(_reduced, adaptive, stride_q.get(index, (1, 1, 1)))
            adaptive = time, height, width
            stride_kv[index] = [*adaptive]
    return tuple(
        BlockSetting(
            num_heads=heads[index + 1],
            input_channels=dims[index],
            output_channels=dims[index + 1],
            pool_q=make_pooling(options.pool_kvq_kernel, stride_q.get(index)),
            pool_kv=make_pooling(options.pool_kvq_kernel, stride_kv.get(index)),
        )
        for index in range(depth)
    )


def make_pooling(kernel: Sequence[int] | None, stride: Sequence[int] | None) -> Pooling | None:
    """The pooling with these; None where there is no stride or, as in the published code, both have only ones."""
    if not stride:
        return None
    kernel = kernel or _natural_kernel(stride)
    return None if math.prod((*kernel, *stride)) == 1 else Pooling.model_validate({"kernel": kernel, "stride": stride})


def _natural_kernel(stride: Sequence[int]) -> tuple[int, int, int]:
    time, height, width = (step + 1 if step > 1 else 1 for step in stride)
    return time, height, width


def _reduced(stride: int, divisor: int) -> int:
    return max(1, stride // divisor)


def _checked(name: str, entries: Entries, blocks: range) -> Entries:
    for block, *_ in entries:
        if block not in blocks:
            raise ValueError(f"{name} names block {block}, but takes blocks {blocks[0]} to {blocks[-1]}")
    return entries


def rounded(width: float, divisor: int = 1, least: int = 1) -> int:
    """The nearest multiple of the divisor, or the next one where that is less than nine tenths of the width."""
    result = max(least, int(width + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * width else result
