"""Exponential moving average of the weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters, updated after every optimizer step.

    torch.optim.swa_utils.AveragedModel does the same but asks the device for its counter at every update, which makes
    the host wait. Buffers (running statistics of norms) are averages already and are used as they are.

    Args:
        model: the model; its present parameters are the first average.
        decay: weight of the past, e.g. 0.999.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        self._average = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self, skipped: Tensor | None = None) -> None:
        """Move the average towards the parameters.

        Args:
            skipped: scalar on the device, 1 to leave the average as it is since the step was skipped, else 0.
        """
        averages, parameters = list(self._average.values()), list(self._parameters.values())
        if skipped is None:
            torch._foreach_lerp_(averages, parameters, 1 - self.decay)
            return
        ways = torch._foreach_sub(parameters, averages)
        torch._foreach_mul_(ways, (1 - skipped) * (1 - self.decay))
        torch._foreach_add_(averages, ways)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; afterwards its own, bit for bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        averages, parameters = list(self._average.values()), list(self._parameters.values())
        kept = torch._foreach_clone(averages)
        torch._foreach_copy_(averages, parameters)
        torch._foreach_copy_(parameters, kept)

    def tensors(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(self._average)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        for name, average in self._average.items():
            average.copy_(tensors[name])
