"""Figures of the probabilities of classes, beside the accuracies of the answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from medvid.evaluation.metrics.accuracy import SHOWN_CLASSES
from medvid.evaluation.metrics.calibration import calibration_bins, top_label_bins
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures

SAID_OTHERWISE = ("accuracy", "balanced_accuracy", "top5")
"""Figures that are metrics by other names, or the same: top1, mean_class, top5."""


def probability_columns(labels: Sequence[str], scores: Tensor) -> dict[str, float]:
    """The probability of each class of a case, ``probability/<class>``; none where there are many classes.

    Args:
        labels: names of the classes.
        scores: log-probabilities (classes,).
    """
    if len(labels) > SHOWN_CLASSES:
        return {}
    return {f"probability/{label}": value for label, value in zip(labels, scores.exp().tolist(), strict=True)}


def figures_of_rows(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    *,
    ordered: bool,
    counted: str = "cases",
    resampling: Resampling | None = None,
) -> TargetFigures | None:
    """All figures of cases that have a class, or None where their rows do not have the probabilities.

    Args:
        rows: of the cases.
        labels: names of the classes.
        ordered: whether they are grades.
        counted: what has a row: cases, or frames.
        resampling: for intervals.
    """
    if not rows or f"probability/{labels[0]}" not in rows[0]:
        return None
    probabilities, truth = arrays_of_rows(rows, labels)
    predicted = np.array([labels.index(row["predicted"]) for row in rows])
    cases = [row["case"] for row in rows]
    return figures_of_classes(
        probabilities,
        truth,
        labels,
        cases=cases,
        counted=counted,
        predicted=predicted,
        ordered=ordered,
        resampling=resampling,
    )


def draw_curves(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], folder: Path) -> list[Path]:
    """Draw ROC and precision-recall curves and calibration; of two classes those of the second one.

    Args:
        rows: of the cases, with probabilities.
        labels: names of the classes.
        folder: where to.
    """
    from medvid.evaluation.curves import draw_calibration, draw_precision_recall, draw_roc

    probabilities, truth = arrays_of_rows(rows, labels)
    shown = range(1, 2) if len(labels) == 2 else range(len(labels))
    scored = {labels[one]: (truth == one, probabilities[:, one]) for one in shown}
    if len(labels) == 2:
        bins, of = {labels[1]: calibration_bins(probabilities[:, 1], truth == 1)}, f"probability of {labels[1]}"
    else:
        bins, of = {"likeliest class": top_label_bins(truth, probabilities)}, "probability of the likeliest class"
    return [
        draw_roc(scored, folder / "roc.png"),
        draw_precision_recall(scored, folder / "precision_recall.png"),
        draw_calibration(bins, folder / "calibration.png", of),
    ]


def arrays_of_rows(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, classes) and true ids (N,) of rows that have them."""
    probabilities = np.array([[row[f"probability/{label}"] for label in labels] for row in rows], np.float64)
    return probabilities, np.array([row["label_id"] for row in rows])
