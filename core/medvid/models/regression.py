"""What all heads for values share: numbers in their units, learnt on a common scale."""

from abc import ABC

import torch
from torch import Tensor

from medvid.models.head import Head
from medvid.plugin.info import TargetInfo


class RegressionHead(Head, ABC):
    """Base of all heads that predict values; a subclass adds the network that maps features to numbers around 0.

    A network learns such numbers best, and an error in one unit must not outweigh that in another. So a value is
    learnt as its distance from the mean of the training cases, in standard deviations, where these are known.

    Args:
        target_info: the values, their means and deviations.
    """

    means: Tensor
    deviations: Tensor

    def __init__(self, target_info: TargetInfo) -> None:
        super().__init__()
        count = len(target_info.names)
        for name, given, neutral in (("means", target_info.means, 0.0), ("deviations", target_info.deviations, 1.0)):
            self.register_buffer(name, torch.tensor(given or (neutral,) * count), persistent=False)

    def in_units(self, standardised: Tensor) -> Tensor:
        """Numbers (..., V) in standard deviations from the mean, as values in their units, in float32 or better."""
        exact = standardised.to(torch.promote_types(standardised.dtype, torch.float32))
        return exact * self.deviations + self.means

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss of values (..., V) that are not voxels, in standard deviations, so without a unit."""
        return super().loss(self._standardised(output), self._standardised(target))

    def _standardised(self, values: Tensor) -> Tensor:
        return (values - self.means) / self.deviations
