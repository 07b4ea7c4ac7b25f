"""Tubelets: blocks of a clip's pixels, each of which is projected to a token (ViViT, section 3.2)."""

import math

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Tubelets along time, height and width; or the frames, rows and columns of one."""


class TubeletEmbedding(nn.Module):
    """Cut a clip into tubelets and project each to a token, as a convolution does whose stride is its kernel.

    Args:
        channels: of the clip.
        dim: width of a token.
        tubelet_size: frames, rows and columns of a tubelet.
    """

    def __init__(self, channels: int, dim: int, tubelet_size: Grid) -> None:
        super().__init__()
        self.channels, self.tubelet_size = channels, tubelet_size
        self.projection = nn.Linear(channels * math.prod(tubelet_size), dim)

    def grid_of(self, input: Tensor) -> Grid:
        """The tubelets of a clip (B, C, T, H, W).

        Raises:
            ValueError: it does not divide into tubelets.
        """
        size, tubelet = input.shape[2:], self.tubelet_size
        if any(length % edge or not length for length, edge in zip(size, tubelet, strict=True)):
            raise ValueError(f"clips of size {list(size)} do not divide into tubelets of {list(tubelet)}")
        return size[0] // tubelet[0], size[1] // tubelet[1], size[2] // tubelet[2]

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *(grid * tubelet_size)) to tokens (B, N, D), ordered by time, height, width; raises as `grid_of`.

        Channels are the fastest in a tubelet: they are in clips that lie in memory with channels last.
        """
        x = input.movedim(1, -1)
        for axis, (places, edge) in enumerate(zip(self.grid_of(input), self.tubelet_size, strict=True)):
            x = torch.unflatten(x, 1 + 2 * axis, (places, edge))
        x = x.permute(0, 1, 3, 5, 2, 4, 6, 7)  # B, T', H', W', t, h, w, C
        return self.projection(x.flatten(4).flatten(1, 3))


def as_projection(kernel: Tensor) -> Tensor:
    """The kernel (D, C, t, h, w) of a published convolution as the matrix of `TubeletEmbedding.projection`."""
    return kernel.movedim(1, -1).flatten(1)


def as_map(tokens: Tensor, grid: Grid) -> Tensor:
    """Tokens (B, N, D) as a map (B, D, *grid), with channels last in memory."""
    return torch.unflatten(tokens, 1, grid).movedim(-1, 1)
