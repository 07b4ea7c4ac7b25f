"""All figures of a target of cases: what `of_classes`, `of_labels` and `of_values` return."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medvid.errors import DataError
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Figure, definitions
from medvid.evaluation.metrics.intervals import Interval, bootstrap, draw_patients, percentile
from medvid.sentences import listed

ByName = Mapping[str, Mapping[str, float]]
"""Figures by column, then by name of the class, label or value."""
Compute = Callable[[np.ndarray], tuple[Mapping[str, float], ByName]]
"""From indices of cases, which may repeat, to the headline figures by column, and those by name."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are found: by percentiles of the figures of resampled patients.

    Args:
        patients: of each case (N,); None if each case is a patient of its own.
        resamples: number of resamples.
        seed: of the draws.
        level: how often such an interval holds the true value.
    """

    patients: np.ndarray | None = None
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def of(self, chosen: np.ndarray) -> "Resampling":
        """The same for some of the cases, a mask (N,)."""
        return replace(self, patients=None if self.patients is None else np.asarray(self.patients)[chosen])


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """The figures of a target over all cases.

    Args:
        figures: what there is, in order, with its definition.
        values: the headline by column; where there are figures by name, it is their mean over those that are defined.
        by_name: by column, then by name of the class, label or value; NaN where not defined.
        known: number of annotated cases by name.
        positives: number of cases that have it, by name; empty for values.
        unknown: number of entries that nobody has annotated and that count in nothing.
        intervals: by column and by ``column/name``; empty unless asked for.
        notes: sentences: definitions, what was left out, and how intervals were found.
        counted: what has an annotation of its own: cases, or frames.
    """

    figures: tuple[Figure, ...]
    values: Mapping[str, float]
    by_name: ByName
    known: Mapping[str, int]
    positives: Mapping[str, int]
    unknown: int
    notes: tuple[str, ...]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    counted: str = "cases"

    @property
    def metrics(self) -> dict[str, float]:
        """All figures by ``column`` and ``column/name``."""
        return flat(self.values, self.by_name)

    @property
    def defined(self) -> dict[str, int]:
        """Number of names over which a headline figure is the mean, by column."""
        return {
            column: sum(not math.isnan(value) for value in found.values()) for column, found in self.by_name.items()
        }


def flat(values: Mapping[str, float], by_name: ByName) -> dict[str, float]:
    """Figures by ``column`` and ``column/name``."""
    return {**values, **{f"{column}/{name}": value for column, of in by_name.items() for name, value in of.items()}}


def macro(by_name: ByName) -> dict[str, float]:
    """The mean of each figure over the names for which it is defined; NaN if there are none."""
    return {column: mean(found.values()) for column, found in by_name.items()}


def find_intervals(compute: Compute, cases: int, resampling: Resampling | None) -> dict[str, Interval]:
    """Intervals of all figures, if they are asked for and there are cases.

    Args:
        compute: the figures.
        cases: number of cases.
        resampling: what to resample; its `patients` are those of these cases.
    """
    if resampling is None or not cases:
        return {}
    patients = np.arange(cases) if resampling.patients is None else np.asarray(resampling.patients)
    draws = draw_patients(patients, resampling.resamples, resampling.seed)
    found = bootstrap(lambda indices: flat(*compute(indices)), draws)
    return {name: percentile(values, resampling.level) for name, values in found.items()}


def case_name(cases: Sequence[str] | None, case: int) -> str:
    """A case's name, else its number."""
    return f"number {case}" if cases is None else cases[case]


def require_scorable(scores: np.ndarray, known: np.ndarray, cases: Sequence[str] | None, *, within: bool) -> None:
    """Refuse what cannot be scored, where it counts.

    Args:
        scores: (N, names) probabilities or numbers.
        known: (N, names) what counts.
        cases: their names, else they are numbered from 0.
        within: whether they are probabilities.

    Raises:
        DataError: a score is not finite, or not within 0 and 1, naming the case.
    """
    slack = 1e-6  # a softmax in single precision adds up to a little more than 1
    wrong = ~((scores >= -slack) & (scores <= 1 + slack)) if within else ~np.isfinite(scores)
    for case, column in np.argwhere(wrong & known)[:1].tolist():
        wanted = "a probability, within 0 and 1" if within else "a finite number"
        raise DataError(
            f"case {case_name(cases, case)}: score {scores[case, column]} in column {column} is not {wanted}",
            hint="nothing was scored; predict this case again, or leave it out",
        )


def notes(
    figures: Sequence[Figure], by_name: ByName, intervals: Mapping[str, Interval], *unknown: str
) -> tuple[str, ...]:
    """The sentences that travel with figures.

    Args:
        figures: what there is.
        by_name: figures by name, some of which may not be defined.
        intervals: of them.
        unknown: sentences on what is not annotated.
    """
    return (*definitions(figures), *unknown, *_undefined(figures, by_name), *_resampled(intervals))


def _undefined(figures: Sequence[Figure], by_name: ByName) -> list[str]:
    """A sentence for each set of names that figures are not defined for."""
    missing: dict[tuple[str, ...], list[str]] = {}
    for figure in figures:
        names = tuple(name for name, value in by_name.get(figure.column, {}).items() if math.isnan(value))
        missing.setdefault(names, []).append(figure.heading)
    return [f"not defined for {listed(names)}: {', '.join(of)}" for names, of in missing.items() if names]


def _resampled(intervals: Mapping[str, Interval]) -> list[str]:
    if not intervals:
        return []
    first = next(iter(intervals.values()))
    counts = [f"{name} {found.undefined}" for name, found in intervals.items() if found.undefined]
    left_out = f"; resamples without a figure are left out: {listed(counts)}" if counts else ""
    return [f"intervals: {first.level:.0%} by percentiles of {first.resamples} resamples of patients{left_out}"]
