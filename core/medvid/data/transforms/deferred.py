"""Random changes that are left to the device: where a GPU waits for its loader processes, it makes them itself.

They are those of the loader: the numbers are drawn on the CPU, from the generator as the loader leaves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medvid.data.batch import Batch, Pending
from medvid.data.dataset import Dataset
from medvid.data.transform import Transform, apply, initial_size
from medvid.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Application:
    """Applies transforms with a generator in a given state."""

    transforms: tuple[Transform, ...]
    state: Tensor

    def __call__(self, batch: Batch) -> Batch:
        generator = torch.Generator()
        generator.set_state(self.state)
        return apply(self.transforms, batch, generator)


class Deferred(Transform):
    """Stands for transforms at the end of a list, which follow once the examples are on their device.

    Args:
        transforms: each can change examples there, see `Transform.on_device`.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(transforms)
        self.needs_mask = any(transform.needs_mask for transform in transforms)

    def initial_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        return initial_size(self.transforms, size)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        application = _Application(self.transforms, generator.get_state())
        return replace(batch, pending=(Pending(len(batch.input), (application,)),))


def count_deferred(transforms: Sequence[Transform]) -> int:
    """How many follow on the device."""
    return sum(len(each.transforms) for each in transforms if isinstance(each, Deferred))


def defer(transforms: Sequence[Transform]) -> tuple[Transform, ...]:
    """Leave to the device what can be: the end of the list from where on all can change examples there."""
    start = len(transforms)
    while start and transforms[start - 1].on_device:
        start -= 1
    return (*transforms[:start], Deferred(transforms[start:])) if start < len(transforms) else tuple(transforms)


def placed(dataset: Dataset, where: str, device: torch.device) -> tuple[Transform, ...]:
    """The transforms of a data set, those deferred that are to be made on the device.

    Args:
        dataset: with its transforms.
        where: `medvid.config.task.TrainOptions.transforms_on`.
        device: of the model.

    Raises:
        ConfigError: they are to be, and none can.
    """
    whole = tuple(dataset.transforms)
    if where == "loader" or (where == "auto" and device.type != "cuda"):
        return whole
    found = defer(whole) if dataset.transforms_last else whole
    if whole and found == whole and where == "device":
        why = "the last of the list cannot" if dataset.transforms_last else "its examples are finished later"
        raise ConfigError(
            f"train.transforms_on is device, but those of data set {dataset.options.name} cannot be made there: {why}",
            hint="leave it out, or set train.transforms_on: loader",
        )
    return found
