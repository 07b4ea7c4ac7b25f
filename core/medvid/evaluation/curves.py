"""Pictures of scores: ROC and precision-recall curves, and calibration."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot, which keeps global state

from medvid.evaluation.metrics.calibration import CalibrationBins
from medvid.evaluation.metrics.intervals import wilson
from medvid.evaluation.metrics.ranking import auroc, average_precision, precision_recall_curve, roc_curve

SHOWN = 20
"""Curves in a picture; of more, the first."""

NAME = 24
"""Characters of a name in a legend."""

Shown = TypeVar("Shown")
Scored = tuple[np.ndarray, np.ndarray]
"""Truth, 0 or 1, and scores (N,) of the cases in which a class or label is known."""


def draw_roc(scored: Mapping[str, Scored], path: Path) -> Path:
    """Draw the ROC curve of each class or label, with its AUROC.

    Args:
        scored: truth and scores by name; those without a curve are in the legend alone.
        path: the .png to write.
    """
    figure, panel = _square("1 - specificity", "sensitivity")
    panel.plot((0, 1), (0, 1), color="0.6", linestyle="--", linewidth=1)
    for style, (name, (truth, score)) in _styled(scored):
        false, true, _ = roc_curve(truth, score)
        panel.plot(false, true, **style, label=_named(name, auroc(truth, score), _positives(truth)))
    return _finish(figure, panel, scored, "AUROC (positive of all cases)", path)


def draw_precision_recall(scored: Mapping[str, Scored], path: Path) -> Path:
    """Draw the precision-recall curve of each class or label as the steps that its average precision sums.

    Args:
        scored: truth and scores by name; those without a curve are in the legend alone.
        path: the .png to write.
    """
    figure, panel = _square("recall", "precision")
    for style, (name, (truth, score)) in _styled(scored):
        precision, recall, _ = precision_recall_curve(truth, score)
        panel.step(
            recall,
            precision,
            where="pre",
            **style,
            label=_named(name, average_precision(truth, score), _positives(truth)),
        )
    return _finish(figure, panel, scored, "average precision (positive of all cases)", path)


def draw_calibration(bins: Mapping[str, CalibrationBins], path: Path, of: str = "the positive's probability") -> Path:
    """Draw how often answers are right against how likely they were said to be, and how many there were.

    A single curve has Wilson's 95 % intervals.

    Args:
        bins: by name.
        path: the .png to write.
        of: what the probability is of.
    """
    figure = Figure(figsize=(5, 6), dpi=150, layout="constrained")
    panel, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    panel.plot((0, 1), (0, 1), color="0.6", linestyle="--", linewidth=1)
    panel.set(ylabel="share that is true", xlim=(0, 1), ylim=(0, 1))
    counts.set(xlabel=of, ylabel="cases")
    for style, (name, found) in _styled(bins):
        errors = _wilson_errors(found) if len(bins) == 1 else None
        label = _named(name, found.expected_error)
        panel.errorbar(
            found.confidence, found.accuracy, errors, **style, marker="o", markersize=4, capsize=2, label=label
        )
        counts.step(found.confidence, found.cases, where="mid", **style, marker="o", markersize=3)
    counts.set_ylim(bottom=0)
    return _finish(figure, panel, bins, "expected calibration error", path)


def _wilson_errors(bins: CalibrationBins) -> np.ndarray:
    """How far the ends of the intervals are from the accuracies (2, bins)."""
    right = (bins.accuracy * bins.cases).round().astype(int).tolist()
    ends = [wilson(*pair) for pair in zip(right, bins.cases.tolist(), strict=True)]
    low, high = np.array([(end.low, end.high) for end in ends]).reshape(-1, 2).T
    return np.stack([bins.accuracy - low, high - bins.accuracy]).clip(0)


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 5), dpi=150, layout="constrained")
    panel = figure.subplots()
    panel.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure, panel


def _styled(named: Mapping[str, Shown]) -> Iterable[tuple[dict[str, Any], tuple[str, Shown]]]:
    """The first ones, each with a colour and line of its own."""
    for number, item in enumerate(islice(named.items(), SHOWN)):
        yield {"color": f"C{number % 10}", "linestyle": "-" if number < 10 else ":"}, item


def _named(name: str, value: float, detail: str = "") -> str:
    figure = "-" if np.isnan(value) else f"{value:.3f}"
    shown = name if len(name) <= NAME else f"{name[: NAME - 3]}..."
    return f"{shown} {figure}{detail}"


def _positives(truth: np.ndarray) -> str:
    return f" ({int(truth.sum())} of {len(truth)})"


def _finish(figure: Figure, panel: Axes, named: Mapping[str, object], title: str, path: Path) -> Path:
    if len(named) > SHOWN:
        title += f"\nthe first {SHOWN} of {len(named)}"
    figure.legend(
        *panel.get_legend_handles_labels(), title=title, loc="outside lower center", ncols=2, fontsize="x-small"
    )
    figure.savefig(path)
    return path
