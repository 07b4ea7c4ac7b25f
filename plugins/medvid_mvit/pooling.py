"""Pooling of tokens on their grid, per attention head (MViT, section 3.1)."""

import torch
from torch import Tensor, nn

from medvid.models.fast.average_pool import AveragePool3d
from medvid.models.fast.depthwise import depthwise_conv3d
from medvid_mvit.geometry import Grid, Pooling


class TokenPool(nn.Module):
    """A learned depthwise convolution, the same for all heads, and a norm. The class token is normalised only.

    Args:
        head_dim: channels of a head.
        pooling: kernel and stride.
        grid: patches along time, height and width.
        class_token: whether a class token precedes the patches.
        eps: added to the variance by the norm.
    """

    def __init__(self, head_dim: int, pooling: Pooling, grid: Grid, *, class_token: bool, eps: float) -> None:
        super().__init__()
        self.pooling, self.grid, self.class_tokens = pooling, grid, int(class_token)
        self.conv = nn.Conv3d(
            head_dim, head_dim, pooling.kernel, pooling.stride, pooling.padding, groups=head_dim, bias=False
        )
        self.norm = nn.LayerNorm(head_dim, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, heads, C) to (B, N', heads, C)."""
        class_token, patches = split_tokens(x, self.class_tokens)
        weight = self.conv.weight.repeat(x.shape[2], 1, 1, 1, 1)
        x_map = as_map(patches.flatten(2), self.grid)
        pooled = depthwise_conv3d(x_map, weight, self.pooling.stride, self.pooling.padding)
        tokens = as_tokens(pooled).reshape(len(x), -1, *x.shape[2:])
        return self.norm(torch.cat([class_token, tokens], dim=1))


class FixedPool(nn.Module):
    """Pooling without parameters: by average or maximum. The class token stays as it is.

    Args:
        mode: which of the two.
        pooling: kernel and stride.
        grid: patches along time, height and width.
        class_token: whether a class token precedes the patches.
    """

    def __init__(self, mode: str, pooling: Pooling, grid: Grid, *, class_token: bool) -> None:
        super().__init__()
        kind = AveragePool3d if mode == "avg" else nn.MaxPool3d
        self.pool = kind(pooling.kernel, pooling.stride, pooling.padding)
        self.grid, self.class_tokens = grid, int(class_token)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, ...) to (B, N', ...)."""
        class_token, patches = split_tokens(x, self.class_tokens)
        tokens = as_tokens(self.pool(as_map(patches.flatten(2), self.grid)))
        return torch.cat([class_token, tokens.reshape(len(x), -1, *x.shape[2:])], dim=1)


def split_tokens(x: Tensor, class_tokens: int) -> tuple[Tensor, Tensor]:
    """The class token, if any, and the patches of tokens (B, N, ...); its gradient takes one copy, a slice's three."""
    class_token, patches = torch.split(x, [class_tokens, x.shape[1] - class_tokens], dim=1)
    return class_token, patches


def as_map(patches: Tensor, grid: Grid) -> Tensor:
    """Patches (B, N, C) as a map (B, C, *grid): a view, with channels last in memory."""
    return patches.reshape(len(patches), *grid, -1).movedim(-1, 1)


def as_tokens(x: Tensor) -> Tensor:
    """The inverse of `as_map`."""
    return x.movedim(1, -1).flatten(1, 3)
