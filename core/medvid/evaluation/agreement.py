"""Pictures of predicted numbers against the truth."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot, which keeps global state

from medvid.evaluation.metrics.regression import BlandAltman, bland_altman

COLOUR = "tab:blue"


def draw_bland_altman(truth: np.ndarray, prediction: np.ndarray, name: str, unit: str, path: Path) -> Path:
    """Draw each case's difference over its mean, with the bias, the limits of agreement, and their 95 % intervals.

    Beside it, prediction over truth.

    Args:
        truth: (N,), known.
        prediction: (N,).
        name: of the value.
        unit: of the value.
        path: the .png to write.
    """
    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    scatter, differences = figure.subplots(1, 2)
    unit = f" ({unit})" if unit else ""
    _draw_scatter(scatter, truth, prediction, unit)
    differences.scatter((truth + prediction) / 2, prediction - truth, s=14, alpha=0.6, color=COLOUR, linewidths=0)
    differences.set(xlabel=f"mean of both{unit}", ylabel=f"prediction - truth{unit}")
    _draw_limits(differences, bland_altman(truth, prediction))
    figure.suptitle(f"{name}, {len(truth)} case{'s' * (len(truth) != 1)}")
    figure.savefig(path)
    return path


def _draw_scatter(panel: Axes, truth: np.ndarray, prediction: np.ndarray, unit: str) -> None:
    panel.scatter(truth, prediction, s=14, alpha=0.6, color=COLOUR, linewidths=0)
    panel.axline((0, 0), slope=1, color="0.6", linestyle="--", linewidth=1)
    panel.set(xlabel=f"truth{unit}", ylabel=f"prediction{unit}")
    if len(truth):
        low, high = min(truth.min(), prediction.min()), max(truth.max(), prediction.max())
        margin = 0.03 * (high - low) or 1.0
        panel.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")


def _draw_limits(panel: Axes, found: BlandAltman) -> None:
    panel.axhline(0, color="0.6", linestyle="--", linewidth=1)
    low, high = found.limits
    for value, half, style, text in (
        (found.bias, found.bias_half_width, "-", "bias"),
        (low, found.limits_half_width, ":", "- 1.96 sd"),
        (high, found.limits_half_width, ":", "+ 1.96 sd"),
    ):
        if np.isfinite(value):
            panel.axhline(value, color="black", linestyle=style, linewidth=1)
            panel.axhspan(value - half, value + half, color="0.85", zorder=0)
            panel.annotate(
                f"{text} {value:.2f}",
                (1, value),
                xycoords=("axes fraction", "data"),
                xytext=(-3, 2),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize="small",
            )
