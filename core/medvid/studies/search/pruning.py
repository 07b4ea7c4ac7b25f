"""When a trial is given up: rules on the figures after validations, the higher the better."""

from collections.abc import Sequence
from statistics import median

from medvid.studies.search_options import PruneOptions

FACTOR = 3
"""Of successive halving: the best third goes on, for three times as many validations."""


def is_to_prune(options: PruneOptions, figures: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a trial is given up after its last validation.

    Args:
        options: the rule.
        figures: of the trial, one per validation.
        others: those of all other trials, which can be further, or not as far.
    """
    count = len(figures)
    reached = [max(other[:count]) for other in others if len(other) >= count > 0]
    if count <= options.warmup_validations or len(reached) < options.startup_trials or not reached:
        return False
    best = max(figures)
    if options.method == "median":
        return best < median(reached)
    if not _is_rung(count - options.warmup_validations):
        return False
    places = max(1, (len(reached) + 1) // FACTOR)
    return sum(other > best for other in reached) >= places


def _is_rung(count: int) -> bool:
    while count % FACTOR == 0:
        count //= FACTOR
    return count == 1
