"""A batch that is taken in parts, one after the other and on several processes: the gradient of the whole."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


def separate_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give each gradient memory of its own.

    autograd hands out views of one tensor where the gradients of several parameters are the same, as those of a class
    token and its position are in a batch of one example. Whatever is added to one, or scales it, would change both.
    """
    taken: set[int] = set()
    for parameter in parameters:
        if parameter.grad is None:
            continue
        place = parameter.grad.untyped_storage().data_ptr()
        if place in taken:
            parameter.grad = parameter.grad.clone()
        taken.add(place)


def scale_gradients(parameters: Iterable[nn.Parameter], factor: Tensor) -> None:
    """Multiply all gradients by a scalar that is on their device."""
    if gradients := [parameter.grad for parameter in parameters if parameter.grad is not None]:
        torch._foreach_mul_(gradients, factor)


def batch_norms(model: nn.Module) -> Iterator[str]:
    """Names of the modules whose output for an example depends on the others of its part of the batch.

    Those in training mode that keep running statistics, but for norms of single examples.
    """
    for name, module in model.named_modules():
        statistics = getattr(module, "running_var", None)
        if module.training and statistics is not None and not isinstance(module, nn.modules.instancenorm._InstanceNorm):
            yield name
