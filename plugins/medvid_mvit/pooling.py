"""Pooling of tokens on their grid, per attention head (MViT, section 3.1)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.nn.grad import conv2d_weight

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
        pooled = depthwise_conv3d(as_map(patches.flatten(2), self.grid), weight, self.pooling)
        tokens = as_tokens(pooled).reshape(len(x), -1, *x.shape[2:])
        out: Tensor = self.norm(torch.cat([class_token, tokens], dim=1))
        return out


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
        kind: Callable[..., nn.Module] = nn.AvgPool3d if mode == "avg" else nn.MaxPool3d
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


def depthwise_conv3d(x: Tensor, weight: Tensor, pooling: Pooling) -> Tensor:
    """Convolve each channel of (B, C, T, H, W) with a kernel of its own, of weight (C, 1, t, h, w).

    On CPUs torch's gradient of it takes tens of times as long as the convolution, so it is taken by
    `DepthwiseConv3d` there.
    """
    kind = DepthwiseConv3d.apply if x.device.type == "cpu" else _convolve
    out: Tensor = kind(x, weight, pooling.stride, pooling.padding)
    return out


def _convolve(x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    return functional.conv3d(x, weight.to(x.dtype), None, tuple(stride), tuple(padding), groups=len(weight))


class DepthwiseConv3d(torch.autograd.Function):
    """A depthwise convolution whose gradients are made of fast operations: convolutions in 3D, and gradients in 2D."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
        """As `torch.nn.functional.conv3d`."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding  # type: ignore[attr-defined] # what a context is for
        return _convolve(x, weight, stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Gradients of input and weight."""
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad[:2]
        return (
            _input_grad(x, weight, grad, ctx.stride, ctx.padding) if by_x else None,
            _weight_grad(x, weight, grad, ctx.stride, ctx.padding) if by_weight else None,
            None,
            None,
        )


def _input_grad(x: Tensor, weight: Tensor, grad: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Spread the gradient by the stride, with zeros between and around it, and convolve it with the turned kernel."""
    kernel = weight.shape[2:]
    size = [length + width - 1 for length, width in zip(x.shape[2:], kernel, strict=True)]
    spread = grad.new_zeros(len(grad), *size, grad.shape[1]).movedim(-1, 1)  # channels last in memory
    time, height, width = (
        slice(length - 1 - pad, length - pad + step * (count - 1), step)
        for length, pad, step, count in zip(kernel, padding, stride, grad.shape[2:], strict=True)
    )
    spread[:, :, time, height, width] = grad
    return _convolve(spread, weight.flip(2, 3, 4), (1, 1, 1), (0, 0, 0)).to(x.dtype)


def _weight_grad(x: Tensor, weight: Tensor, grad: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Take each instant of the kernel as a convolution of frames. In the weight's type: bf16 has no fast one."""
    (step, *strides), (pad, *paddings), (frames, *_) = stride, padding, x.shape[2:]
    padded = x.new_zeros(len(x), frames + 2 * pad, *x.shape[3:], x.shape[1], dtype=weight.dtype)  # B, T, H, W, C
    padded[:, pad : pad + frames] = x.movedim(1, -1)
    grads = grad.to(weight.dtype).transpose(1, 2).flatten(0, 1)
    last = step * (grad.shape[2] - 1)
    instants = [
        conv2d_weight(  # type: ignore[no-untyped-call] # torch's own
            padded[:, first : first + last + 1 : step].movedim(-1, 2).flatten(0, 1),  # B * T, C, H, W
            weight[:, :, first].shape,
            grads,
            strides,
            paddings,
            groups=len(weight),
        )
        for first in range(weight.shape[2])
    ]
    return torch.stack(instants, dim=2)
