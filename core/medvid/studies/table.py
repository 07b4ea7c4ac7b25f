"""What the finished cells of a study say together, as values, as a table for people, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medvid.evaluation.metrics.intervals import Interval
from medvid.sentences import listed
from medvid.studies.spreads import Spread
from medvid.studies.statistics import RESAMPLES
from medvid.studies.text import counted, interval_text, text

OTHERS = 2
"""Number of further figures that a line of the table has."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the finished cells of a configuration say.

    Args:
        finished: number of its finished cells.
        cells: number of all.
        missing: names of those that have not finished.
        patients: number of patients, or of cases where none are known, that were scored.
        cases: number of cases, or frames.
        seconds: that its finished cells took.
        metrics: its figures over all names, the chosen one first.
    """

    finished: int
    cells: int
    missing: tuple[str, ...]
    patients: int
    cases: int
    seconds: float
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class Together:
    """What the finished cells of a study say.

    Args:
        metric: that comes first; empty while no cell has finished.
        better: which way figures are better, by name.
        configurations: by name, all of them.
    """

    metric: str
    better: Mapping[str, str]
    configurations: Mapping[str, Configuration]

    @property
    def finished(self) -> int:
        """Number of finished cells."""
        return sum(one.finished for one in self.configurations.values())

    @property
    def cells(self) -> int:
        """Number of all cells."""
        return sum(one.cells for one in self.configurations.values())

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader has to know."""
        missing = [name for one in self.configurations.values() for name in one.missing]
        notes = []
        if missing:
            notes.append(
                f"{self.finished} of {counted(self.cells, 'cell')} have finished; the cases of the others are absent: "
                + listed(missing)
            )
        if any(one.metrics for one in self.configurations.values()):
            notes += [
                f"{self.metric} is of each case as a model has scored it that was not trained on it, the mean over "
                f"seeds; 95% CI by {RESAMPLES:,} resamples of patients",
                "sd seeds, sd folds: standard deviations; folds share training cases, so no interval follows from them",
            ]
        return notes


def heading(found: Together) -> list[str]:
    """The heading of the table, without the columns of what is not known of any configuration."""
    of_first = f"95% CI ({_scored(found)})" if found.metric else "95% CI"
    return [
        "configuration",
        "cells",
        found.metric or "figure",
        of_first,
        "sd seeds",
        "sd folds",
        *_others(found),
        "hours",
    ]


def lines(found: Together) -> dict[str, list[str]]:
    """The line of each configuration, by its name."""
    shown = {}
    for name, one in found.configurations.items():
        first = one.metrics.get(found.metric)
        figures = ["-"] * 4 if first is None else [text(first.value), interval_text(first.interval)]
        figures += [] if first is None else [text(first.sd_seeds), text(first.sd_folds)]
        others = [text(one.metrics[metric].value) if metric in one.metrics else "-" for metric in _others(found)]
        cells = f"{one.finished} of {one.cells}"
        shown[name] = [name, cells, *figures, *others, f"{one.seconds / 3600:.1f}"]
    return shown


def as_markdown(name: str, found: Together) -> str:
    """The table as a page."""
    rows = [heading(found), ["---"] * len(heading(found)), *lines(found).values()]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    return "\n\n".join([f"# {name}", table, *found.notes]) + "\n"


def as_values(name: str, found: Together) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "study": name,
        "metric": found.metric,
        "better": found.better,
        "finished": found.finished,
        "cells": found.cells,
        "configurations": {name: _values(one) for name, one in found.configurations.items()},
        "notes": found.notes,
    }


def _values(one: Configuration) -> dict[str, Any]:
    return {
        "finished": one.finished,
        "cells": one.cells,
        "missing": one.missing,
        "patients": one.patients,
        "cases": one.cases,
        "seconds": round(one.seconds, 1),
        "metrics": {metric: spread_values(of) for metric, of in one.metrics.items()},
    }


def spread_values(of: Spread) -> dict[str, Any]:
    """A metric of a configuration as plain values; NaN where something is not known."""
    return {
        "value": of.value,
        **_ends("ci95", of.interval),
        "sd_seeds": of.sd_seeds,
        **_ends("t95_seeds", of.t_seeds),
        "sd_folds": of.sd_folds,
        "by_seed": {str(seed): value for seed, value in of.by_seed.items()},
        "by_fold": {str(fold): value for fold, value in of.by_fold.items()},
    }


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _scored(found: Together) -> str:
    """What was scored; of configurations that have scored different cases, the range."""
    counts = sorted({one.patients for one in found.configurations.values() if one.finished})
    are_patients = any(one.patients < one.cases for one in found.configurations.values())
    what = "patient" if are_patients else "case"
    return f"{counts[0]} to {counts[-1]} {what}s" if len(counts) > 1 else counted(counts[0], what) if counts else ""


def _others(found: Together) -> Sequence[str]:
    names = dict.fromkeys(metric for one in found.configurations.values() for metric in one.metrics)
    return [name for name in names if name != found.metric][:OTHERS]
