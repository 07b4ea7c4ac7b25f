"""What several processes that train together know of their whole batch, of which each has a part."""

from typing import Any

import torch
from torch import Tensor


def is_shared(part: Tensor) -> bool:
    """Whether other processes have further parts of the batch that a tensor is computed from.

    A tensor without values, on the meta device, is computed by one process alone.
    """
    distributed = torch.distributed
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
        and not part.is_meta
    )


def whole_batch_moments(mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of the whole batch from those of this process's part of it, by one exchange.

    They are put together by Chan et al. (1979): without subtracting large numbers. All processes get the same
    bits. Gradients flow back to the parts of all processes, by one more exchange.

    Args:
        mean: (C), of this part.
        variance: (C), of this part, biased.
        count: the number of values that each of them is taken over; not the same in each process.

    Returns:
        Mean (C), biased variance (C) and the number of values, a scalar, of the whole batch; without other processes,
        those of the part.
    """
    own = torch.cat([mean, variance, mean.new_full((1,), count)])
    if not is_shared(own):
        return mean, variance, own[-1]
    parts = _Gather.apply(own)
    means, variances, counts = torch.split(parts, [len(mean), len(variance), 1], dim=1)
    total = counts.sum()
    share = counts / total
    whole = (share * means).sum(0)
    return whole, (share * (variances + (means - whole).square())).sum(0), total


class _Gather(torch.autograd.Function):
    """A tensor (N) of each process as (processes, N) in all of them."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:  # noqa: ARG004 (the signature of autograd functions)
        parts = part.new_empty(torch.distributed.get_world_size(), *part.shape)
        torch.distributed.all_gather(list(parts), part.contiguous())
        return parts

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        everywhere = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(everywhere)
        return everywhere[torch.distributed.get_rank()]
