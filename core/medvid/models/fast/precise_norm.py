"""Batch norm on CPUs with statistics that do not lose digits on large maps in channels-last memory.

There torch's own adds the voxels of a channel one after the other, in float32: of a volume of 96 x 96 x 96 that leaves
three digits. `torch.sum` adds them in a tree, and leaves all.
"""

from typing import Any

import torch
from torch import Tensor


class PreciseNorm(torch.autograd.Function):
    """The norm of maps over all of their voxels and examples, with the gradients that torch's has."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """Normalise (B, C, *S) over B and *S, and scale and shift each channel."""
        mean, variance = moments(x)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        return torch.native_batch_norm(x, weight, bias, mean, variance, training=False, momentum=0, eps=eps)[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of x, weight and bias."""
        x, weight, mean, scale = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return by_x if wanted[0] else None, by_weight if wanted[1] else None, by_bias if wanted[2] else None, None


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of (B, C, *S), in float32 or better."""
    voxels = x.movedim(1, -1)  # B, *S, C
    mean = _mean(voxels.to(torch.promote_types(x.dtype, torch.float32)))
    return mean, _mean((voxels - mean).square_())


def _mean(voxels: Tensor) -> Tensor:
    """Of (..., W, C) over all but the last axis: first of whole rows, which is what torch adds up fastest."""
    width, channels = voxels.shape[-2:]
    return voxels.reshape(-1, width * channels).mean(0).view(width, channels).mean(0)
