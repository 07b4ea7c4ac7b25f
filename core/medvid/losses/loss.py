"""The contract of losses."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Loss(nn.Module, ABC):
    """Base of all losses. Built as ``Target(options, target_info)``."""

    @abstractmethod
    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The training loss: a mean over the examples of a batch, in float32 or better.

        A step may take its batch in parts, one after the other and on several processes; it goes along the gradient of
        the whole, the mean of those of the parts, weighted by their number of examples. A loss that divides by
        anything else, such as the sum of the classes' weights, returns that too, as ``"weight"``. If it does so where
        nothing can be unknown, `is_mean_over_examples` of its options is False.

        Args:
            output: what the head gives, see `medvid.plugin.info` for its shape.
            target: of the data set, or as mixing has made it.

        Returns:
            Scalars: the loss under key ``"loss"``, its parts, logged as ``loss_<name>``, not detached; and perhaps
            ``"weight"``, a constant, 0 where nothing in the batch is annotated.
        """


def in_full(output: Tensor) -> Tensor:
    """In float32 or better, in which a loss is computed whatever the model ran in."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


def weighted_mean(total: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """What a loss returns that divides a sum by a weight: 0 where that is 0, as nothing is known."""
    return {"loss": total / weight.clamp_min(torch.finfo(weight.dtype).tiny), "weight": weight}
