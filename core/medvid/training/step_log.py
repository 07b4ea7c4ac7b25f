"""The losses of the steps since they were last read, and the flag by which steps are refused: both on the device."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medvid.errors import NumericError
from medvid.training.scaling import SMALLEST, LossScale

ADVICE = (
    "the last checkpoint is from before it. Try a lower train.optimizer.lr, train.clip_norm=1, or train.precision=fp32"
)
"""What to do where training gives values that are not finite."""


class StepLog:
    """What the steps gave. The host waits for the device only in `read` and `stop_if_refused`.

    Args:
        device: of the model.
        scale: of the loss in float16, else None.
    """

    def __init__(self, device: torch.device, scale: LossScale | None) -> None:
        self.loss_names: list[str] = []
        self.refused = torch.zeros((), device=device)
        """1 once a loss or gradient was not finite, and never 0 again: fused optimizers read it on the device and leave
        parameters and state untouched, so that nobody has to wait for the device before a step."""
        self.rows: list[Tensor] = []
        """Per step its losses and gradient norm, and the scale of the loss where there is one."""
        self._scale = scale

    def refuse(self, condition: Tensor) -> None:
        """Refuse this step and all later ones where a condition, a scalar on the device, holds."""
        torch.maximum(self.refused, condition.float(), out=self.refused)

    def read(self, step: int) -> dict[str, float]:
        """Mean figures of the steps up to `step` since the last call.

        Raises:
            NumericError: one of them was refused.
        """
        self.stop_if_refused(step)
        means = torch.stack(self.rows).cpu().double().nanmean(dim=0).tolist()  # skipped steps have no norm
        self.rows = []
        names = [*map(_loss_figure, self.loss_names), "grad_norm", *(["loss_scale"] if self._scale else [])]
        return {name: mean for name, mean in zip(names, means, strict=True) if not math.isnan(mean)}

    def stop_if_refused(self, step: int) -> None:
        """Raise where one of the steps up to `step` was refused.

        Raises:
            NumericError: names the first such step.
        """
        if not self.refused.item():
            return
        rows = torch.stack(self.rows).cpu()
        refused = ~rows.isfinite().all(dim=1)
        if self._scale:
            refused = ~rows[:, :-2].isfinite().all(dim=1) | (rows[:, -1] < SMALLEST)
        first = int(refused.int().argmax())
        what = "the loss or a gradient"
        if self._scale:
            what = "the gradient, with any scale of the loss," if rows[first, :-2].isfinite().all() else "the loss"
        raise NumericError(
            f"{what} of step {step - len(rows) + 1 + first} is not finite; that step and later ones were refused",
            hint=ADVICE,
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint; waits for the device."""
        return {"window": [row.tolist() for row in self.rows], "loss_names": self.loss_names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.loss_names = state["loss_names"]
        self.rows = [torch.tensor(row, device=self.refused.device) for row in state["window"]]


def _loss_figure(name: str) -> str:
    """What a loss is logged as: its parts ``loss_dice``, as ``dice`` is a score, of which more is better."""
    return name if name.startswith("loss") else f"loss_{name}"
