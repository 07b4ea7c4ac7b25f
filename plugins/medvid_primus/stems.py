"""How Primus makes tokens of voxels."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from medvid.models.convolution import ResidualBlock
from medvid.models.fast.pointwise import Pointwise
from medvid_primus.config import PATCH, PrimusOptions

KERNEL = (3, 3, 3)


class PatchStem(nn.Module):
    """Version 1: a linear projection of each cube of voxels.

    Args:
        channels: of the input.
        dim: width of a token.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(channels, dim, PATCH, stride=PATCH)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to (B, dim, *(S / 8))."""
        return self.proj(input)


class ResidualStem(nn.Module):
    """Versions 2 and 3: a residual block at each resolution down to that of the tokens.

    Args:
        channels: of the input.
        widths: channels at each resolution, the full one first.
        dim: width of a token.
        projects_levels: add a projection of the finer levels to the tokens, at first nearly nothing (version 3).
    """

    def __init__(self, channels: int, widths: Sequence[int], dim: int, *, projects_levels: bool) -> None:
        super().__init__()
        self.stem = ResidualBlock(channels, widths[0], KERNEL, (1, 1, 1))
        self.stages = nn.ModuleList(
            ResidualBlock(before, after, KERNEL, (2, 2, 2), bias=False) for before, after in pairwise(widths)
        )
        self.proj = Pointwise(widths[-1], dim)
        finer = widths[:-1] if projects_levels else ()
        edges = [PATCH // 2**level for level in range(len(finer))]
        self.level_projs = nn.ModuleList(
            nn.Conv3d(width, dim, edge, stride=edge) for width, edge in zip(finer, edges, strict=True)
        )
        self.level_scales = nn.ParameterList(torch.full((), 1e-5) for _ in finer)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to (B, dim, *(S / 8))."""
        levels = [self.stem(input)]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        tokens = self.proj(levels[-1])
        for level, project, scale in zip(levels, self.level_projs, self.level_scales, strict=False):
            tokens = tokens + scale * project(level)
        return tokens


def make_stem(options: PrimusOptions, channels: int) -> nn.Module:
    """The stem that the options name."""
    if options.stem == "v1":
        return PatchStem(channels, options.hidden_size)
    is_third = options.stem == "v3"
    return ResidualStem(channels, options.channels_of_stem, options.hidden_size, projects_levels=is_third)
