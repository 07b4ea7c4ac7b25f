"""Transforms of all values alike: scale and shift of intensities."""

from dataclasses import replace

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.data.transforms.options import ScaleIntensityOptions, ShiftIntensityOptions


class ScaleIntensity(Transform):
    """v * (1 + change).

    Args:
        options: range and probability of the change.
    """

    on_device = True

    def __init__(self, options: ScaleIntensityOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, input=batch.input * (1 + _changes(self.options, batch.input, generator)))


class ShiftIntensity(Transform):
    """v + change.

    Args:
        options: range and probability of the change.
    """

    on_device = True

    def __init__(self, options: ShiftIntensityOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, input=batch.input + _changes(self.options, batch.input, generator))


def _changes(
    options: ScaleIntensityOptions | ShiftIntensityOptions, input: Tensor, generator: torch.Generator
) -> Tensor:
    """The change of each example, (N, 1, ...), 0 where it stays as it is."""
    decision, place = torch.rand(2, len(input), generator=generator)
    change = options.range * (2 * place - 1) * (decision < options.probability)
    changes: Tensor = change.view(-1, *[1] * (input.ndim - 1)).to(input.device, input.dtype, non_blocking=True)
    return changes
