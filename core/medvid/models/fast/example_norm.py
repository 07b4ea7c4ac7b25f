"""Instance norm of many small examples in a few kernels, whatever their number, in the memory format they have.

A batch norm of each example takes less memory traffic, but two launches for each and each way. Of 24 slices that is
more time on the host than their norms take on a GPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FEW, LARGE = 4, 2**22
"""Examples, and their elements, up to and from which a batch norm of each is as fast."""


def is_many_small(x: Tensor) -> bool:
    """Whether (B, C, *S) is what `ExampleNorm` is for."""
    return x.device.type != "cpu" and len(x) > FEW and x[0].numel() < LARGE


class ExampleNorm(torch.autograd.Function):
    """The norm of each channel of each example, without scale and shift."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        """Normalise (B, C, *S) over *S, with statistics in float32 or better."""
        axes = tuple(range(2, x.ndim))
        dtype = torch.promote_types(x.dtype, torch.float32)
        variance, mean = torch.var_mean(x.to(dtype), axes, correction=0, keepdim=True)
        scale = (variance + eps).rsqrt_()
        ctx.save_for_backward(x, mean, scale)
        return _affine(x, scale, (mean * scale).neg_())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The gradient of x: that of the output, without its mean and its share along the output, and scaled."""
        x, mean, scale = ctx.saved_tensors
        axes = tuple(range(2, x.ndim))
        mean_grad = grad.mean(axes, keepdim=True, dtype=mean.dtype)
        product = _product(x, grad, mean.dtype).mean(axes, keepdim=True)
        slope = torch.addcmul(product, mean, mean_grad, value=-1).mul_(scale.pow(3)).neg_()
        shift = torch.addcmul(slope * mean, scale, mean_grad).neg_()
        return _affine(x, slope, shift).addcmul_(grad, scale), None


def _affine(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift x, in the type and memory format of x, in one kernel."""
    return torch.addcmul(shift, x, slope, out=torch.empty_like(x))


def _product(x: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """The product in a type that also holds what overflows in that of its factors; a `mul` rounds to theirs first."""
    return torch.addcmul(x.new_zeros([1] * x.ndim, dtype=dtype), x, y)
