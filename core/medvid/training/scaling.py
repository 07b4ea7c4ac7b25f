"""Scaling of the loss in float16, whose smallest numbers the gradients of a network often fall below.

The loss is multiplied by a factor before the backward pass, and the gradients are divided by it after. A factor that
makes gradients overflow is halved, and that step skipped; after many steps without one it is doubled (Micikevicius et
al., ICLR 2018). torch.amp.GradScaler does the same, but takes over the optimizer's ``found_inf``, in which the training
loop marks steps that are refused for good.
"""

from typing import TypedDict

import torch
from torch import Tensor

INITIAL = 2.0**16
SMALLEST = 2.0**-14
"""A step that overflows with less is not one that a smaller scale would help."""
_GROWTH, _BACKOFF, _INTERVAL = 2.0, 0.5, 2000


class LossScaleState(TypedDict):
    """Where the scale stands: its value, and the steps since it was changed."""

    value: float
    steps: int


class LossScale:
    """The factor on the loss, on the device: nothing here waits for it.

    Args:
        device: of the gradients.
    """

    def __init__(self, device: torch.device) -> None:
        self.value = torch.full((), INITIAL, device=device)
        self._steps = torch.zeros((), dtype=torch.int32, device=device)

    def update(self, overflowed: Tensor) -> None:
        """Adapt to a step.

        Args:
            overflowed: scalar, 1 where a gradient was not finite, else 0.
        """
        torch._amp_update_scale_(self.value, self._steps, overflowed, _GROWTH, _BACKOFF, _INTERVAL)

    def state(self) -> LossScaleState:
        """For a checkpoint; waits for the device."""
        return {"value": self.value.item(), "steps": int(self._steps.item())}

    def restore(self, state: LossScaleState) -> None:
        """Go on from what `state` gave."""
        self.value.fill_(state["value"])
        self._steps.fill_(state["steps"])
