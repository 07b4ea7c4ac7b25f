"""What heads of voxels share that predict values too: numbers in their units, learnt on a common scale."""

from abc import ABC
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from medvid.models.head import Head
from medvid.plugin.info import TargetInfo

Maps = TypeVar("Maps", bound=Tensor | tuple[Tensor, ...])
"""Of the input's size, or at several scales, see `medvid.models.deep_supervision`."""


class ValueMaps(Head, ABC):
    """Base of heads of voxels; a value is learnt as `medvid.models.regression.RegressionHead` learns one of a case.

    Where no means and deviations are known, as of labels, everything stays as it is.

    Args:
        target_info: what is predicted, perhaps with means and deviations.
    """

    means: Tensor
    deviations: Tensor

    def __init__(self, target_info: TargetInfo) -> None:
        super().__init__()
        self.is_scaled = bool(target_info.means)
        for name, given in (("means", target_info.means), ("deviations", target_info.deviations)):
            self.register_buffer(name, torch.tensor(given), persistent=False)

    def in_units(self, output: Maps) -> Maps:
        """Numbers (B, V, *S) in standard deviations from the mean as values in their units, in float32 or better."""
        return _each(output, self._in_units) if self.is_scaled else output

    def loss(self, output: Any, target: Tensor) -> dict[str, Tensor]:
        """The loss of values (B, V, *S) in standard deviations, so without a unit; of labels as it is."""
        if not self.is_scaled:
            return super().loss(output, target)
        return super().loss(_each(output, self._standardised), self._standardised(target))

    def _in_units(self, output: Tensor) -> Tensor:
        exact = output.to(torch.promote_types(output.dtype, torch.float32))
        return exact * _beside(self.deviations, output) + _beside(self.means, output)

    def _standardised(self, values: Tensor) -> Tensor:
        return (values - _beside(self.means, values)) / _beside(self.deviations, values)


def _each(maps: Maps, change: Callable[[Tensor], Tensor]) -> Maps:
    return cast(Maps, change(maps) if isinstance(maps, Tensor) else tuple(change(one) for one in maps))


def _beside(numbers: Tensor, maps: Tensor) -> Tensor:
    """One number (V,) for each value of maps (B, V, *S)."""
    return numbers.view(-1, *[1] * (maps.ndim - 2))
