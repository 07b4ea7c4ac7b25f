"""Where a training stands, and who is told of it."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medvid.config.task import TrainOptions

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
        improved_to: the figure of the last validation that counted as an improvement, or None.
        stale: validations since then.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    validated_step: int | None = None
    average: float | None = None
    improved_to: float | None = None
    stale: int = 0

    def observe_validation(self, value: float, smooth: float = 0.0, min_delta: float = 0.0) -> None:
        """Take note of the validation figure of the current step; only a finite one can be best.

        Args:
            value: the figure, higher is better.
            smooth: weight of the past in the average that the best is chosen by, see `moving_average`.
            min_delta: what that average has to rise by to count as an improvement.
        """
        self.validated_step = self.step
        self.stale += 1
        if not math.isfinite(value):
            logger.warning("the figure that chooses the best weights is not defined for step %d", self.step)
            return
        self.average = moving_average(self.average, value, smooth)
        if self.best_value is None or self.average > self.best_value:
            self.best_step, self.best_value = self.step, self.average
        if self.improved_to is None or self.average > self.improved_to + min_delta:
            self.improved_to, self.stale = self.average, 0


def early_note(progress: TrainingProgress, options: TrainOptions, figure: str) -> str:
    """What to say of a training that is over before its last step.

    Args:
        progress: where it stands.
        options: its recipe.
        figure: the name of the one that chooses the best weights.
    """
    least = options.stop_early.min_delta if options.stop_early else 0.0
    return (
        f"stopped early, after step {progress.step} of {options.steps}: "
        f"in {progress.stale} validations {figure} has not " + (f"risen by more than {least:g}" if least else "risen")
    )


def moving_average(before: float | None, value: float, smooth: float) -> float:
    """The exponential moving average with one more value; it begins with the first.

    Args:
        before: the average of the values so far, None if there are none.
        value: the next one.
        smooth: weight of the average so far, in [0, 1).
    """
    return value if before is None else smooth * before + (1 - smooth) * value
