"""A metric of several sides on the cases that all of them have, and how to tell two of them apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.intervals import Interval, percentile
from medvid.sentences import listed
from medvid.studies.sides import Side
from medvid.studies.statistics import (
    POOLED_RESAMPLES,
    RESAMPLES,
    Difference,
    TestName,
    bootstrap_interval,
    mean_figure,
    paired_difference,
    pooled_draws,
    pooled_mean,
    swap_p,
)
from medvid.studies.text import counted


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of several sides.

    Args:
        keys: of the cases, or frames, that all sides have.
        groups: whose each of them is.
        figures: of each side on these cases, with its interval.
        difference: of two sides by name, the first less the second.
        notes: what a reader has to know of them.
    """

    keys: tuple[str, ...]
    groups: np.ndarray
    figures: Mapping[str, tuple[float, Interval]]
    difference: Callable[[str, str], Difference]
    notes: tuple[str, ...]


def measure(sides: Sequence[Side], metric: str, owners: Mapping[str, str], test: TestName) -> Measured:
    """Measure sides by a metric, whether it is a mean over cases or of all answers together.

    Args:
        sides: with different names.
        metric: one that all of them have.
        owners: whose each case, or frame, is.
        test: of differences.

    Raises:
        ConfigError: no case is common to all; or rows do not suffice for the metric, or the metric for the test.
        DataError: sides have another truth of the same cases.
    """
    found = _of_means(sides, metric, owners, test) or _of_answers(sides, metric, owners, test)
    if found is None:
        raise ConfigError(
            f"{metric} cannot be computed from the rows of cases.csv",
            hint=f"take another figure: {listed([name for name in sides[0].metrics if '/' not in name])}",
        )
    return found


def _of_means(sides: Sequence[Side], metric: str, owners: Mapping[str, str], test: TestName) -> Measured | None:
    tables = {side.name: found for side in sides if (found := side.figures(metric)) is not None}
    if len(tables) < len(sides):
        return None
    keys = _common({name: table.keys for name, table in tables.items()})
    names = [name for name in next(iter(tables.values())).names if all(name in of.names for of in tables.values())]
    if not names:
        raise ConfigError(f"the sides have no label in common of which there is {metric}")
    groups = np.array([owners[key] for key in keys])
    values = {name: table.at(keys, names) for name, table in tables.items()}
    others = {name for table in tables.values() for name in table.names}.difference(names)
    absent = np.isnan(np.stack(list(values.values())))
    undefined = int((absent.any(axis=0) & ~absent.all(axis=0)).sum())
    unit = "pairs of case and name" if len(names) > 1 else "cases"
    notes = [
        f"{metric} is the mean over cases" + (", then over names" if len(names) > 1 else ""),
        *_of_seeds(sides),
        *_left_out({name: table.keys for name, table in tables.items()}, keys),
        *([f"only some have {listed(sorted(others))}, left out of all"] if others else []),
        *(
            [f"{metric} of {undefined} of {absent[0].size} {unit} is not defined for all: differences leave them out"]
            if undefined
            else []
        ),
        f"intervals: 95% by percentiles of {RESAMPLES:,} resamples of {_drawn(keys, groups)}",
    ]
    return Measured(
        keys,
        groups,
        {name: (mean_figure(of), bootstrap_interval(of, groups)) for name, of in values.items()},
        lambda one, other: paired_difference(values[one], values[other], groups, test=test),
        tuple(notes),
    )


def _of_answers(sides: Sequence[Side], metric: str, owners: Mapping[str, str], test: TestName) -> Measured | None:
    seeds = {side.name: found for side in sides if (found := side.answers(metric)) is not None}
    if len(seeds) < len(sides):
        return None
    if test == "wilcoxon":
        raise ConfigError(
            f"{metric} is of all cases together, so cases have no ranks to test", hint="leave out --test wilcoxon"
        )
    all_keys = {name: tuple(set.intersection(*(set(one.keys) for one in of))) for name, of in seeds.items()}
    keys = tuple(sorted(_common(all_keys)))
    groups = np.array([owners[key] for key in keys])
    chosen = {name: [one.at(keys) for one in of] for name, of in seeds.items()}
    first = next(iter(chosen.values()))[0]
    answers = {name: [one.answers for one in of] for name, of in chosen.items()}
    if any(one.answers.shape != first.answers.shape for of in chosen.values() for one in of):
        raise ConfigError("the sides have other classes, labels or values, so their answers cannot be compared")
    figure, truth = first.figure, first.truth
    figures = {name: pooled_mean(figure, of, truth) for name, of in answers.items()}
    drawn = {name: pooled_draws(figure, of, truth, groups, resamples=POOLED_RESAMPLES) for name, of in answers.items()}

    def difference(one: str, other: str) -> Difference:
        p = swap_p(figure, answers[one], answers[other], truth, groups, resamples=POOLED_RESAMPLES)
        interval = percentile(drawn[one] - drawn[other])
        return Difference(figures[one] - figures[other], interval, p, 0, 0, 0, len(keys), 0)

    return Measured(
        keys,
        groups,
        {name: (value, percentile(drawn[name])) for name, value in figures.items()},
        difference,
        (
            f"{metric} is of all cases together, of each seed by itself",
            *_of_seeds(sides),
            *_left_out(all_keys, keys),
            f"intervals: 95% by percentiles of {POOLED_RESAMPLES:,} resamples of {_drawn(keys, groups)}",
        ),
    )


def _common(keys: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    first, *others = keys.values()
    sets = [set(other) for other in others]
    if not (common := tuple(key for key in first if all(key in other for other in sets))):
        shown = "; ".join(f"{name} has {listed(of, 3)}" for name, of in keys.items())
        raise ConfigError(
            f"there is no case that all of them have: {shown}",
            hint="evaluate them on the same cases: platform evaluate RUN --data FOLDER",
        )
    return common


def _of_seeds(sides: Sequence[Side]) -> list[str]:
    several = [f"{side.name} of {len(side.rows)}" for side in sides if len(side.rows) > 1]
    return [f"means over seeds come first: {listed(several)}"] if several else []


def _left_out(keys: Mapping[str, Sequence[str]], common: Sequence[str]) -> list[str]:
    kept = set(common)
    others = {name: [key for key in of if key not in kept] for name, of in keys.items()}
    return [
        f"{counted(len(of), 'case')} of {name} {'is' if len(of) == 1 else 'are'} left out, which not all have: "
        + listed(of, 3)
        for name, of in others.items()
        if of
    ]


def _drawn(keys: Sequence[str], groups: np.ndarray) -> str:
    count = len(np.unique(groups))
    cases = counted(len(keys), "case")
    return cases if count == len(keys) else f"{counted(count, 'patient')} with {cases}"


def check_truth(sides: Sequence[Side]) -> None:
    """Refuse sides that say another truth of the same case.

    Raises:
        DataError: naming cases.
    """
    known: dict[tuple[str, str], str] = {}
    for side in sides:
        for key, truth in side.truths().items():
            if known.setdefault(key, truth) != truth:
                raise DataError(
                    f"{' '.join(key).rstrip()} has the truth {truth} in {side.name}, and {known[key]} in another: "
                    "these are not the same cases, or they were annotated anew",
                    hint="evaluate all of them on the data of today: platform evaluate RUN",
                )
