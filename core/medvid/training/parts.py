"""A batch that is taken in parts, one after the other and on several processes: the gradient of the whole."""

import logging
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import cast

import torch
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.sentences import listed

logger = logging.getLogger("medvid")


def separate_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give each gradient memory of its own.

    autograd hands out views of one tensor where the gradients of several parameters are the same, as those of a class
    token and its position are in a batch of one example. Whatever is added to one, or scales it, would change both.
    Gradients that lie beside each other in one storage, as in the buckets of distributed data parallel, stay there.
    """
    storage, end = 0, 0
    placed = [(_place(parameter.grad), parameter) for parameter in parameters if parameter.grad is not None]
    for (at, first, last), parameter in sorted(placed, key=itemgetter(0)):
        if at == storage and first < end:
            parameter.grad = cast(Tensor, parameter.grad).clone()
        else:
            storage, end = at, last


def _place(tensor: Tensor) -> tuple[int, int, int]:
    """Where a tensor lies: its storage, and there its first byte and that behind its last one."""
    extent = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    first = int(tensor.storage_offset())
    return tensor.untyped_storage()._cdata, first * tensor.itemsize, (first + extent) * tensor.itemsize


def own_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Take gradients out of the memory of CUDA graphs, which the next run of a graph writes over."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad.clone()


def scale_gradients(parameters: Iterable[nn.Parameter], factor: Tensor) -> None:
    """Multiply all gradients by a scalar that is on their device."""
    if gradients := [parameter.grad for parameter in parameters if parameter.grad is not None]:
        torch._foreach_mul_(gradients, factor)


def clip_gradients(parameters: Iterable[nn.Parameter], largest: float | None) -> Tensor:
    """The norm of all gradients as one vector; if it is larger than allowed, they are scaled down to that."""
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([cast(Tensor, parameter.grad) for parameter in with_gradient])
    if largest is not None:
        torch.nn.utils.clip_grads_with_norm_(with_gradient, largest, norm)
    return norm


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Give all processes the values of the first, in place, by one exchange for each kind of number."""
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for same in kinds.values():
        together = torch.cat([tensor.flatten() for tensor in same])
        torch.distributed.broadcast(together, src=0)
        for tensor, values in zip(same, torch.split(together, [tensor.numel() for tensor in same]), strict=True):
            tensor.copy_(values.view(tensor.shape))


def batch_norms(model: nn.Module) -> Iterator[str]:
    """Names of the modules whose output for an example depends on the others of its part of the batch.

    Those in training mode that keep running statistics, except norms of single examples.
    """
    for name, module in model.named_modules():
        statistics = getattr(module, "running_var", None)
        if module.training and statistics is not None and not isinstance(module, nn.modules.instancenorm._InstanceNorm):
            yield name


def warn_of_partial_statistics(model: nn.Module, options: TrainOptions, processes: int) -> None:
    """Say which norms take the statistics of a part of the batch, and not of the whole."""
    norms = {name: model.get_submodule(name) for name in batch_norms(model)}
    for is_synchronised in (False, True):
        names = [name for name, norm in norms.items() if getattr(norm, "synchronised", False) == is_synchronised]
        together = processes if is_synchronised else 1
        parts = options.accumulate * processes // together
        if names and parts > 1:
            logger.warning(
                "a step takes its batch in %d parts, and %s take the statistics of each part alone (%d cases), not "
                "of the whole batch",
                parts,
                listed(names, 3),
                options.batch_size * together,
            )
