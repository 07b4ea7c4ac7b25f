"""What a search tries next: a function of the study's seed, the trial's number and, for some methods, the outcomes."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from medvid.seeding import derive_seed
from medvid.studies.search.trials import Outcome
from medvid.studies.search_options import Interval, SearchOptions, points


def number_of_trials(options: SearchOptions, own: Mapping[str, Any]) -> int:
    """How many trials a search has."""
    if options.method != "grid":
        assert options.trials, "checked by SearchOptions"
        return options.trials
    whole = len(_grid(options, own))
    return min(options.trials or whole, whole)


def propose(
    options: SearchOptions, seed: int, number: int, own: Mapping[str, Any], outcomes: Sequence[Outcome] = ()
) -> dict[str, Any]:
    """The values of a trial.

    Args:
        options: of the search.
        seed: of the study.
        number: of the trial.
        own: the task's own values, which trial 0 has.
        outcomes: of the trials so far, which tpe and gp learn from.

    Raises:
        ConfigError: the method needs Optuna, which is not installed.
    """
    if number == 0:
        return dict(own)
    if options.method == "grid":
        return _grid(options, own)[number]
    chance = derive_seed(seed, "trial", number)
    if options.method == "random":
        draw = random.Random(chance)  # noqa: S311 (nothing secret)
        return {key: _drawn(values, draw) for key, values in options.space.items()}
    from medvid.studies.search.samplers import suggest

    return suggest(options, chance % 2**32, number, outcomes)


def _grid(options: SearchOptions, own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All combinations, the last key fastest, after the task's own values."""
    lists = [points(values) for values in options.space.values()]
    combinations = [dict(zip(options.space, values, strict=True)) for values in itertools.product(*lists)]
    return [dict(own), *(values for values in combinations if values != own)]


def _drawn(values: Interval | tuple[Any, ...], draw: random.Random) -> Any:
    if not isinstance(values, Interval):
        return draw.choice(values)
    if values.step or (values.is_whole and not values.log):
        return draw.choice(points(values))
    if not values.log:
        return draw.uniform(values.low, values.high)
    # A whole number takes what rounds to it.
    margin = 0.5 if values.is_whole else 0.0
    found = math.exp(draw.uniform(math.log(values.low - margin), math.log(values.high + margin)))
    kept = min(max(found, values.low), values.high)
    return min(max(round(kept), values.low), values.high) if values.is_whole else kept
