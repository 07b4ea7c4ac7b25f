"""The rotary positions of V-JEPA 2, on three axes, and the attention that has them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, each (N, channels of a head)."""


def rotation_of(grid: Sequence[int], channels: int, like: Tensor) -> Rotation:
    """How queries and keys are turned at each place of a grid.

    A third of the channels, rounded down to pairs, is for each axis; what is left over is not turned. The two channels
    of a pair are turned by the angles of two frequencies, as the frequencies are repeated as a whole: that is no
    rotation, but what the published weights were trained with.

    Args:
        grid: number of places along time, height and width; the last one is fastest in N.
        channels: of a head.
        like: a tensor on the device, and in numbers of at least the precision, that the tokens are in.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    share = channels // (2 * len(grid)) * 2
    frequencies = 10000.0 ** (torch.arange(share // 2, device=like.device, dtype=dtype) * (-2 / share))
    places = torch.cartesian_prod(*(torch.arange(length, device=like.device, dtype=dtype) for length in grid))
    angles = (places.unsqueeze(-1) * frequencies.repeat(2)).flatten(1)  # N, axes * share
    angles = functional.pad(angles, (0, channels - angles.shape[1]))
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair of neighbouring channels of x (..., N, D)."""
    cosines, sines = (table.to(x.dtype) for table in rotation)
    first, second = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return x * cosines + torch.stack([-second, first], dim=-1).flatten(-2) * sines


class RotaryAttention(nn.Module):
    """Multi-head self-attention over all tokens, whose queries and keys are turned.

    Args:
        dim: width of a token, a multiple of num_heads.
        num_heads: attention heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # 3, B, heads, N, D / heads
        turned, value = torch.split(qkv, [2, 1])  # split, as the gradient of slices is padded and added up
        query, key = rotate(turned, rotation)
        x = functional.scaled_dot_product_attention(query, key, value[0])
        return self.proj(x.transpose(1, 2).flatten(2))
