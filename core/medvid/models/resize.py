"""Linear resizing with a gradient that is cheap and has the same bits each time, on every device."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from medvid.devices.memory_format import CHANNELS_LAST

_KERNELS = {
    3: torch.ops.aten.upsample_linear1d.vec,
    4: torch.ops.aten.upsample_bilinear2d.vec,
    5: torch.ops.aten.upsample_trilinear3d.vec,
}
"""What `torch.nn.functional.interpolate` calls, by the number of axes of its input."""


def resize(x: Tensor, size: Sequence[int], *, align_corners: bool = False) -> Tensor:
    """Interpolate (B, C, *S), S of one to three axes, linearly to (B, C, *size); returned as it is where *S is size.

    The values are those of `torch.nn.functional.interpolate`. On GPUs its gradient is summed in a random order;
    where torch has to be deterministic (`train.deterministic`), it takes dozens of operations, each as large as the
    output. Here it is then one matrix product per axis.
    """
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if torch.are_deterministic_algorithms_enabled() and not x.is_cpu:
        return LinearResize.apply(x, size, align_corners)
    return _interpolate(x, size, align_corners)


class LinearResize(torch.autograd.Function):
    """Torch's linear interpolation, and its gradient by one axis after the other."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
        """As `resize`."""
        ctx.size, ctx.align_corners = x.shape[2:], align_corners  # type: ignore[attr-defined] # what a context is for
        return _interpolate(x, size, align_corners)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the input, in the memory format of the one of the output."""
        for axis, length in enumerate(ctx.size, start=2):
            if grad.shape[axis] != length:
                grad = _along(axis, grad, _weights(length, grad.shape[axis], ctx.align_corners, grad))
        return grad, None, None


def _interpolate(x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    return _KERNELS[x.ndim](x, list(size), align_corners, None)


def _weights(length: int, resized: int, align_corners: bool, like: Tensor) -> Tensor:
    """By how much each of `length` values counts in each of `resized`: a matrix (length, resized)."""
    each = torch.eye(length, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
    return _interpolate(each[None], [resized], align_corners)[0].to(like.dtype)


def _along(axis: int, x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply an axis of x (B, C, *S), n long, by a matrix (m, n), without a copy of x in either memory format."""
    layout = CHANNELS_LAST.get(x.ndim, torch.contiguous_format)
    channels_last = x.is_contiguous(memory_format=layout) and not x.is_contiguous()
    if channels_last:
        x, axis = x.movedim(1, -1), axis - 1
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    rows = x.reshape(prod(outer), x.shape[axis], prod(inner))
    product = rows[..., 0] @ matrix.T if rows.shape[-1] == 1 else matrix.expand(len(rows), -1, -1) @ rows
    product = product.view(*outer, len(matrix), *inner)
    return product.movedim(-1, 1) if channels_last else product
