"""What scorers of cases write at the end of an evaluation: all figures with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medvid.config.evaluation import AnswerEvaluationOptions
from medvid.data.dataset import Case
from medvid.evaluation.metrics.figure import Better, definitions, directions
from medvid.evaluation.metrics.groups import GROUPS
from medvid.evaluation.metrics.intervals import Interval
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.patients import PATIENT
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.report import write_cases


def patient_column(case: Case) -> dict[str, Any]:
    """The patient of a case, for its row; nothing where the case does not say."""
    patient = getattr(case, "patient", "")
    return {PATIENT: patient} if patient else {}


def group_column(case: Case) -> dict[str, Any]:
    """The groups of a case, for its rows; nothing where the case does not say."""
    groups = getattr(case, GROUPS, ())
    return {GROUPS: " ".join(groups)} if groups else {}


def resampling_of(rows: Sequence[Mapping[str, Any]], options: AnswerEvaluationOptions) -> Resampling | None:
    """How intervals are found, if they are asked for: over patients where all rows name theirs, else over cases."""
    patients, cases = [row[PATIENT] for row in rows if PATIENT in row], [row["case"] for row in rows]
    has_several = len(set(cases)) < len(cases)  # frames, each with a row
    groups = np.array(patients) if len(patients) == len(rows) else np.array(cases) if has_several else None
    return Resampling(groups, options.resamples) if options.resamples else None


def write_figures(found: TargetFigures, folder: Path) -> Path:
    """Write figures.csv, a row for each headline figure and each of a class, label or value, with its interval."""
    return write_metrics(found.metrics, found.intervals, folder / "figures.csv")


def write_metrics(metrics: Mapping[str, float], intervals: Mapping[str, Interval], path: Path) -> Path:
    """Write a row for each metric, ``figure`` or ``figure/name``, with its interval where it has one."""
    rows = []
    for metric, value in metrics.items():
        figure, _, name = metric.partition("/")
        row: dict[str, Any] = {"figure": figure, "of": name, "value": value}
        if interval := intervals.get(metric):
            row |= {"low": interval.low, "high": interval.high, "level": interval.level}
            row |= {"resamples": interval.resamples, "undefined": interval.undefined}
        rows.append(row)
    return write_cases(rows, path)


def protocol_figures(
    protocol: ViewProtocol, arrays: Callable[[], tuple[np.ndarray, np.ndarray]]
) -> tuple[Mapping[str, float], list[str]]:
    """The figures that a protocol has besides medvid's, and the sentences that travel with them.

    Args:
        protocol: of the evaluation.
        arrays: gives probabilities and truth.
    """
    if protocol.figures is None:
        return {}, []
    return protocol.figures.of(*arrays()), definitions(protocol.figures.figures)


def own_directions(protocol: ViewProtocol) -> dict[str, Better]:
    """Which way the figures are better that a protocol has besides medvid's."""
    return directions(protocol.figures.figures) if protocol.figures else {}
