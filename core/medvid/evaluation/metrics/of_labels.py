"""All figures of cases that have any number of labels each, every one on its own."""

from collections.abc import Mapping, Sequence

import numpy as np

from medvid.errors import DataError
from medvid.evaluation.metrics.positives import CALIBRATED, DECIDED, RANKED, calibrated, decided, ranked
from medvid.evaluation.metrics.target_figures import (
    ByName,
    Resampling,
    TargetFigures,
    case_name,
    find_intervals,
    macro,
    notes,
    require_scorable,
)
from medvid.plugin.info import UNKNOWN

THRESHOLD = 0.5
"""A label is predicted where its probability is above this."""

FIGURES = (*RANKED, *DECIDED, *CALIBRATED)


def figures_of_labels(
    probabilities: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    *,
    cases: Sequence[str] | None = None,
    counted: str = "cases",
    resampling: Resampling | None = None,
) -> TargetFigures:
    """Score each label over the cases in which it is annotated; the headline is the mean over labels that have it.

    Args:
        probabilities: (N, L).
        truth: (N, L), 1 or 0; `UNKNOWN` counts in nothing.
        names: of the L labels.
        cases: names of the cases, for errors.
        counted: what has an annotation of its own, in words: cases, or frames.
        resampling: for intervals.

    Raises:
        DataError: a probability or an annotation cannot be scored, naming the case.
    """
    known = truth != UNKNOWN
    _require_annotations(truth, names, cases)
    require_scorable(probabilities, known, cases, within=True)
    p = probabilities.astype(np.float64)

    def compute(indices: np.ndarray) -> tuple[Mapping[str, float], ByName]:
        of_each = [_of_one(p[:, one], truth[:, one], indices[known[indices, one]]) for one in range(len(names))]
        by_name = {
            figure.column: dict(zip(names, (of[figure.column] for of in of_each), strict=True)) for figure in FIGURES
        }
        return macro(by_name), by_name

    values, by_name = compute(np.arange(len(truth)))
    intervals = find_intervals(compute, len(truth), resampling)
    missing = int((~known).sum())
    unknown = (
        [f"{missing} of {known.size} labels of {counted} are unknown and left out of all figures"] if missing else []
    )
    return TargetFigures(
        figures=FIGURES,
        values=values,
        by_name=by_name,
        known=dict(zip(names, known.sum(axis=0).tolist(), strict=True)),
        positives=dict(zip(names, (truth == 1).sum(axis=0).tolist(), strict=True)),
        unknown=missing,
        notes=notes(
            FIGURES,
            by_name,
            intervals,
            f"a label is predicted above {THRESHOLD}; means are over the labels that have the figure",
            *unknown,
        ),
        intervals=intervals,
        counted=counted,
    )


def _of_one(p: np.ndarray, truth: np.ndarray, cases: np.ndarray) -> dict[str, float]:
    """The figures of one label over these cases."""
    p, positive = p[cases], truth[cases] == 1
    return ranked(positive, p) | decided(positive, p > THRESHOLD) | calibrated(positive, p)


def _require_annotations(truth: np.ndarray, names: Sequence[str], cases: Sequence[str] | None) -> None:
    for case, label in np.argwhere((truth != UNKNOWN) & (truth != 0) & (truth != 1))[:1].tolist():
        raise DataError(
            f"case {case_name(cases, case)}: {truth[case, label]} is not an annotation of {names[label]}",
            hint=f"labels are 1 or 0, and {UNKNOWN} where nobody has annotated",
        )
