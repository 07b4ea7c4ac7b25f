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
        best_value: that figure, higher is better.
        validated_step: the last step that was validated, or None.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    validated_step: int | None = None

    def observe_validation(self, value: float) -> None:
        """Take note of the validation figure of the current step, higher is better; only a finite one can be best."""
        self.validated_step = self.step
        if not math.isfinite(value):
            logger.warning("the figure that chooses the best weights is not defined for step %d", self.step)
        elif self.best_value is None or value > self.best_value:
            self.best_step, self.best_value = self.step, value
