"""Where a training stands, and who is told of it."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

logger = logging.getLogger("medvid")


class TrainingObserver(Protocol):
    """What the loop tells while it runs, on every rank; all values are Python floats."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        """Mean losses since the last call, and seconds per step."""

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """A checkpoint was written and verified (rank 0 only)."""


@dataclass
class TrainingProgress:
    """Where the training stands; saved with every checkpoint.

    Args:
        step: optimizer steps done.
        best_step: the step with the best validation figure, or None.
        best_value: that figure, or average of figures, higher is better.
        validated_step: the last step that was validated, or None.
        average: moving average of the validation figures so far, or None.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    validated_step: int | None = None
    average: float | None = None

    def observe_validation(self, value: float, smooth: float = 0.0) -> None:
        """Take note of the validation figure of the current step; only a finite one can be best.

        Args:
            value: the figure, higher is better.
            smooth: weight of the past in the average that the best is chosen by, see `moving_average`.
        """
        self.validated_step = self.step
        if not math.isfinite(value):
            logger.warning("the figure that chooses the best weights is not defined for step %d", self.step)
            return
        self.average = moving_average(self.average, value, smooth)
        if self.best_value is None or self.average > self.best_value:
            self.best_step, self.best_value = self.step, self.average


def moving_average(before: float | None, value: float, smooth: float) -> float:
    """The exponential moving average with one more value; it begins with the first.

    Args:
        before: the average of the values so far, None if there are none.
        value: the next one.
        smooth: weight of the average so far, in [0, 1).
    """
    return value if before is None else smooth * before + (1 - smooth) * value
