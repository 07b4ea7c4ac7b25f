"""Learning-rate schedules as pure functions of the step, so that resuming needs no scheduler state."""

import bisect
import math

from medvid.config.task import Constant, MultiStep, Poly, WarmupCosine


def rate_factor(schedule: Constant | WarmupCosine | Poly | MultiStep, step: int, steps: int) -> float:
    """The factor on the peak learning rate for the optimizer step with this number.

    Args:
        schedule: the options of the schedule.
        step: optimizer steps done before, in [0, steps).
        steps: optimizer steps of the whole training.
    """
    if step < schedule.warmup_steps:
        start = schedule.warmup_start if isinstance(schedule, WarmupCosine) else 0.0
        return start + (1 - start) * step / schedule.warmup_steps
    progress = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
    match schedule:
        case Constant():
            return 1.0
        case WarmupCosine():
            return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * progress))
        case Poly():
            done = max(0, step - schedule.warmup_steps - schedule.lag)
            held = done - done % schedule.hold
            return float((1 - held / (steps - schedule.warmup_steps)) ** schedule.power)
        case MultiStep():
            return float(schedule.gamma ** bisect.bisect_right(sorted(schedule.milestones), step))
