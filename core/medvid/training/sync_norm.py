"""Batch norm with the statistics of the whole batch of all processes, on any device.

torch's SyncBatchNorm does the same, but only on GPUs, and only for modules that are built with it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from medvid.devices.whole_batch import whole_batch_moments

aten = torch.ops.aten


def synchronise_norms(model: nn.Module) -> None:
    """Let the batch norms of a model use the statistics of the whole batch while they train, in place.

    That holds for `nn.BatchNorm1d`, 2d, 3d and what is derived from them, and for modules that have an attribute
    ``synchronised``, which is set to True: they see to it themselves, see `medvid.devices.whole_batch`. Norms in eval
    mode stay as they are. Names of parameters and buffers do not change.

    Args:
        model: of which each process has a replica.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            vars(module)["forward"] = partial(_with_whole_batch, module, module.forward)
            vars(module)["synchronised"] = True
        elif "synchronised" in vars(module):
            vars(module)["synchronised"] = True


@torch.compiler.disable  # type: ignore[untyped-decorator] # compiled graphs end here: they could not exchange anything
def _with_whole_batch(norm: nn.Module, forward: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """What a norm computes, with `_batch_norm` for torch's; whatever else it does stays, as an activation."""
    if not norm.training:
        return forward(*inputs)
    with _WholeBatch():
        return forward(*inputs)


class _WholeBatch(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return (_batch_norm if func is functional.batch_norm else func)(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`functional.batch_norm`; its statistics in training are those of the inputs of all processes.

    Raises no error for one value per channel, as other processes have more.
    """
    if not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    output: Tensor
    output, mean, variance, count = _Normalise.apply(input, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var.dtype), momentum)
    return output


class _Normalise(torch.autograd.Function):
    """Input (N, C, *S), weight and bias (C) to the output, and the statistics that it was normalised by."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        unused = input.new_zeros(2, input.shape[1], dtype=torch.promote_types(input.dtype, torch.float32))
        mean, variance = aten.batch_norm_update_stats(input, *unused, 0.0)  # in the precision of running statistics
        mean, variance, count = whole_batch_moments(mean, variance, input.numel() // input.shape[1])
        weight = torch.ones_like(mean) if weight is None else weight
        ctx.eps = eps
        ctx.save_for_backward(input, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        output = _norm_of(input, weight, bias, mean, variance, eps)
        return output, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        inverse = (variance + ctx.eps).rsqrt()
        # The same statistics twice: CUDA's kernels for channels last take the latter, all others the former.
        by_input, by_weight, by_bias = aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, mean, inverse, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([by_weight, by_bias])
        torch.distributed.all_reduce(sums)
        # The statistics depend on the input too: by the norm of it with these factors.
        by_variance, by_mean = sums * (weight * inverse / count)
        through_statistics = _norm_of(x, by_variance, by_mean, mean, variance, ctx.eps)
        _, has_weight, has_bias, _ = ctx.needs_input_grad
        return by_input - through_statistics, by_weight if has_weight else None, by_bias if has_bias else None, None


def _norm_of(input: Tensor, weight: Tensor, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    output: Tensor = torch.native_batch_norm(input, weight, bias, mean, variance, False, 0.0, eps)[0]
    return output
