"""Pictures of segmented cases: labels in colour on the image. They name the case's id and nothing else of it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure  # not pyplot, which keeps global state
from matplotlib.patches import Patch

from medvid.data.palette import label_colour
from medvid.evaluation.views import View

FILL = 0.3
"""Opacity of a label's area; its outline is opaque."""


def draw(view: View, labels: Sequence[str], path: Path) -> Path:
    """Draw the truth above the prediction, one column per slice; without truth the bare image is in its place.

    Args:
        view: the slices.
        labels: name of each label id.
        path: the .png to write.
    """
    rows = {"image" if view.truth is None else "truth": view.truth, "prediction": view.prediction}
    slices, height, width = view.image.shape[:3]
    ratio = height * view.pixel[0] / (width * view.pixel[1])
    figure = Figure(figsize=(3.2 * slices + 3.2, 3.2 * ratio * len(rows) + 1.0), dpi=150, layout="compressed")
    panels = figure.subplots(len(rows), slices, squeeze=False)
    for line, (name, label_maps) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(name)
        for index, panel in enumerate(line):
            _draw_slice(panel, view, index)
            if label_maps is not None:
                _draw_labels(panel, label_maps[index])
    for panel, number in zip(panels[0], view.slices, strict=False):
        panel.set_title(f"slice {number}", fontsize="medium")
    _annotate(figure, view, labels)
    figure.savefig(path, bbox_inches="tight")
    return path


def _draw_slice(panel: Axes, view: View, index: int) -> None:
    low, high = view.window
    shown = ((view.image[index] - low) / (high - low)).clip(0, 1)
    panel.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect=view.pixel[0] / view.pixel[1])
    panel.set(xticks=[], yticks=[])
    if view.radiological:
        for mark, x, y in (("R", 0.03, 0.5), ("L", 0.97, 0.5), ("A", 0.5, 0.96), ("P", 0.5, 0.04)):
            panel.text(x, y, mark, color="white", ha="center", va="center", transform=panel.transAxes)


def _draw_labels(panel: Axes, label_map: np.ndarray) -> None:
    height, width = label_map.shape
    limits = panel.get_xlim(), panel.get_ylim()
    fill = np.zeros((height, width, 4))
    for label in _present(label_map):
        mask = label_map == label
        fill[mask] = (*_colour(label), FILL)
        # A margin of background, so that outlines close at the border of the picture.
        x, y = np.arange(-1, width + 1), np.arange(-1, height + 1)
        panel.contour(x, y, np.pad(mask, 1), levels=[0.5], colors=[_colour(label)], linewidths=1)
    panel.imshow(fill, aspect=panel.get_aspect())
    panel.set(xlim=limits[0], ylim=limits[1])


def _annotate(figure: Figure, view: View, labels: Sequence[str]) -> None:
    figure.suptitle(view.case if math.isnan(view.mean_dice) else f"{view.case}: mean Dice {view.mean_dice:.3f}")
    present = _present(view.prediction) | (set() if view.truth is None else _present(view.truth))
    handles = [Patch(color=_colour(label), label=_legend(view, labels, label)) for label in sorted(present)]
    if handles:
        title = "Dice of the case" if view.dice else None
        figure.legend(handles=handles, loc="outside right center", frameon=False, title=title)
    scale = "" if view.colour else f"gray scale {view.window[0]:.3g} to {view.window[1]:.3g}"
    convention = "axial, radiological convention (patient's right on the left); " if view.radiological else ""
    figure.supxlabel(convention + scale, fontsize="small")


def _legend(view: View, labels: Sequence[str], label: int) -> str:
    scored = bool(view.dice) and not math.isnan(view.dice[label])
    return f"{labels[label]}  {view.dice[label]:.2f}" if scored else labels[label]


def _present(label_map: np.ndarray) -> set[int]:
    return set(np.unique(label_map).tolist()) - {0}


def _colour(label: int) -> tuple[float, float, float]:
    return to_rgb(label_colour(label))
