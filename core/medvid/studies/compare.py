"""Comparing models on the same cases: paired differences, with intervals, a test and Holm's correction."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medvid.errors import ConfigError
from medvid.evaluation.metrics.figure import Better
from medvid.evaluation.metrics.intervals import Interval
from medvid.sentences import listed
from medvid.studies.measured import check_truth, measure
from medvid.studies.sides import Side
from medvid.studies.statistics import Difference, TestName, holm

SAME_CASES = "selected and compared on the same cases; for a figure to publish evaluate another split"
CURSE = (
    "the best of several looks better than it is, also where all are equal: its figure here is the highest of several "
    "uncertain ones"
)
_TESTS: Mapping[TestName, str] = {
    "permutation": "sign-flip permutation, two-sided",
    "wilcoxon": "Wilcoxon's signed ranks, two-sided",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One side compared with the baseline.

    Args:
        one: name of the side.
        other: name of the baseline.
        difference: of one less the other.
        corrected: its p by Holm's method, over all pairs.
        wins: patients (or cases) for whom one is better; None where the metric is of all cases together.
        losses: patients for whom it is worse.
    """

    one: str
    other: str
    difference: Difference
    corrected: float
    wins: int | None
    losses: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the sides say together.

    Args:
        metric: that is compared.
        better: which way it is better.
        cases: number of cases, or frames, that all have.
        figures: of each side on these cases, with its interval.
        pairs: each other side with the baseline.
        notes: sentences that a reader has to know.
    """

    metric: str
    better: Better
    cases: int
    figures: Mapping[str, tuple[float, Interval]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def best(self) -> str:
        """The name of the side with the best figure."""
        return best_of({name: value for name, (value, _) in self.figures.items()}, self.better)


def compare(
    sides: Sequence[Side],
    *,
    metric: str | None = None,
    baseline: str | None = None,
    test: TestName = "permutation",
    group: re.Pattern[str] | None = None,
) -> Comparison:
    """Compare two or more sides by a metric, on the cases that all of them have.

    Args:
        sides: with different names.
        metric: default: the one that chooses the first one's weights.
        baseline: name of the side that others are compared with; default: of two the first, of more the best.
        test: for the p of no difference.
        group: finds the patient in a case's name; default: as a side says, else the patient that rows name, else each
            case for itself.

    Raises:
        ConfigError: they cannot be compared, by this metric or test.
        DataError: the same cases have another truth.
    """
    names = [side.name for side in sides]
    if len(sides) < 2:
        raise ConfigError(f"there is nothing to compare {listed(names)} with", hint="give two runs or more")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{listed(twice)} is given twice")
    if baseline is not None and baseline not in names:
        raise ConfigError(f"the baseline {baseline!r} is not there: there are {listed(names)}")
    metric = metric or sides[0].monitor
    better = direction(sides, metric)
    check_truth(sides)
    group = group or next((side.group for side in sides if side.group), None)
    owners = {key: owner for side in sides for key, owner in side.groups(group).items()}
    found = measure(sides, metric, owners, test)
    base = baseline or (
        names[0] if len(names) == 2 else best_of({name: value for name, (value, _) in found.figures.items()}, better)
    )
    differences = [(name, found.difference(name, base)) for name in names if name != base]
    corrected = holm([difference.p for _, difference in differences])
    pairs = [Pair(one, base, of, p, *_wins(of, better)) for (one, of), p in zip(differences, corrected, strict=True)]
    notes = [*found.notes, f"p: {_TESTS[test]}", *data_notes(sides), SAME_CASES]
    return Comparison(metric, better, len(found.keys), found.figures, tuple(pairs), tuple(notes))


def direction(sides: Sequence[Side], metric: str) -> Better:
    """Which way a metric is better, as its definition says.

    Raises:
        ConfigError: a side does not have it, nobody says which way it is better, or they disagree.
    """
    for side in sides:
        if metric not in side.metrics:
            common = [name for name in side.metrics if all(name in other.metrics for other in sides)]
            raise ConfigError(
                f"{side.name} has no figure {metric!r}",
                hint=f"take one that all have: {listed(common)}" if common else "they have no figure in common",
            )
    ways = {side.better(metric) for side in sides}
    if len(ways) > 1:
        raise ConfigError(
            f"{metric} is not the same figure in all of them: its definitions disagree which way is better"
        )
    better = ways.pop()
    if not better:
        raise ConfigError(f"neither a higher nor a lower {metric} is better", hint="take another figure with --metric")
    return better


def best_of(figures: Mapping[str, float], better: Better) -> str:
    """The name with the best figure, of equals the first; what is not defined is the worst."""
    sign = 1 if better == "higher" else -1
    return max(figures, key=lambda name: -math.inf if math.isnan(figures[name]) else sign * figures[name])


def data_notes(sides: Sequence[Side]) -> list[str]:
    """A sentence on each side some of whose common cases have other data than those of the first."""
    cases = sorted(set.intersection(*(side.cases for side in sides)))
    notes, (first, *others) = [], sides
    for side in others:
        both = [case for case in cases if case in first.digests and case in side.digests]
        if changed := [case for case in both if first.digests[case] != side.digests[case]]:
            notes.append(
                f"WARNING: {len(changed)} of {len(both)} cases have other files, or were prepared otherwise, in "
                f"{side.name} than in {first.name}: {listed(changed, 3)}"
            )
    return notes


def _wins(difference: Difference, better: Better) -> tuple[int | None, int | None]:
    if difference.counted == 0:
        return None, None
    return (difference.higher, difference.lower) if better == "higher" else (difference.lower, difference.higher)
