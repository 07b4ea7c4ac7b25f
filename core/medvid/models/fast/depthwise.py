"""Depthwise convolutions in 3D, whose gradients are slow in torch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.nn.grad import conv2d_weight


def depthwise_conv3d(x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Convolve each channel of (B, C, T, H, W) with a kernel of its own, of weight (C, 1, t, h, w).

    On CPUs torch's gradient of it takes tens of times as long as the convolution, so it is taken by
    `DepthwiseConv3d` there. On CUDA devices maps with channels last would go to cuDNN, which took 5 to 15 times as long
    as torch's own kernels when these were made (pytorch/pytorch #40801 and #51027, versions 7.6 and 8.0).
    """
    if x.device.type == "cuda":
        x = x.contiguous()
    kind = DepthwiseConv3d.apply if x.device.type == "cpu" else _convolve
    return kind(x, weight, stride, padding)


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
