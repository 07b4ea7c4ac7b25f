"""Rotary position embedding on several axes (Su et al., 2021; Heo et al., ECCV 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def axial_angles(grid: Sequence[int], channels: int) -> Tensor:
    """The angle by which each pair of channels is turned at each place of a grid, (N, channels / 2).

    Each axis has a share of the pairs, one after the other, with frequencies from 1 to nearly 1 / 10000.

    Args:
        grid: number of places on each axis; the last one is fastest in N.
        channels: of a head, a multiple of twice the number of axes.
    """
    pairs = channels // (2 * len(grid))
    frequencies = 10000.0 ** (-torch.arange(pairs) / pairs)
    places = torch.cartesian_prod(*(torch.arange(length).float() for length in grid))  # N, axes
    return (places.unsqueeze(-1) * frequencies).flatten(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of neighbouring channels of x (..., N, D) by its angle, given as cosine and sine (N, D / 2)."""
    first, second = x.view(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1).flatten(-2).to(x.dtype)
