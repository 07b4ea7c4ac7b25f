"""Box plots: how the figures of each label spread over cases."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing  # not pyplot, which keeps global state

from medvid.evaluation.metrics.figure import Figure

SHOWN = 40
"""Labels in a picture; of more, the first."""


def draw_boxes(rows: Sequence[Mapping[str, Any]], figures: Sequence[Figure], path: Path) -> Path:
    """Draw a panel per figure with a box for each label, over the cases in which it is defined, and each case a point.

    A box is from the first to the third quartile with the median, whiskers reach to the last case within 1.5 times its
    height.

    Args:
        rows: a row per case and label, with both and with the figures.
        figures: those to draw, at least one.
        path: the .png to write.
    """
    labels = list(dict.fromkeys(row["label"] for row in rows))[:SHOWN]
    drawing = Drawing(figsize=(max(4.0, 1.5 + 0.45 * len(labels)), 3 * len(figures)), dpi=150, layout="constrained")
    panels = drawing.subplots(len(figures), 1, sharex=True, squeeze=False)[:, 0]
    for panel, figure in zip(panels, figures, strict=True):
        values = [[row[figure.column] for row in rows if row["label"] == label] for label in labels]
        _draw_panel(panel, [[value for value in of if math.isfinite(value)] for of in values], figure)
    panels[-1].set_xticks(range(1, len(labels) + 1), labels, rotation=90)
    drawing.savefig(path)
    return path


def _draw_panel(panel: Axes, values: Sequence[Sequence[float]], figure: Figure) -> None:
    panel.boxplot(values, showfliers=False, widths=0.6, medianprops={"color": "black"})
    for place, of in enumerate(values, start=1):
        panel.plot([place] * len(of), of, linestyle="", marker="o", markersize=3, alpha=0.4, color="tab:blue")
        panel.annotate(
            f"{len(of)}",
            (place, 1),
            (0, 2),
            ("data", "axes fraction"),
            "offset points",
            ha="center",
            fontsize="x-small",
        )
    panel.set_ylabel(figure.heading)
    panel.grid(axis="y", alpha=0.3)
