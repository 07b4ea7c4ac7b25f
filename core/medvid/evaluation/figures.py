"""Pictures of segmented cases: labels in colour on the image, and where they are wrong.

They name the case's id and nothing else of it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure  # not pyplot, which keeps global state
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from medvid.data.images.palette import label_colour
from medvid.evaluation.pictures import Picture, Plane
from medvid.plugin.info import UNKNOWN

FILL = 0.3
"""Opacity of a label's area; its outline is opaque."""
ERROR_FILL = 0.8
COLUMN = 3.2
"""Inches of the widest slice."""

ERRORS = {"missed": "#0072b2", "false": "#d55e00", "another label": "#f0e442"}
"""Where the truth alone has a label, where the prediction alone has one, and where they have different ones."""

UNANNOTATED = "#808080"
"""Where nobody annotated."""

_OUTLINE = [withStroke(linewidth=2, foreground="black")]  # so that letters can be read on white bone


def draw(picture: Picture, labels: Sequence[str], path: Path, reason: str = "") -> Path:
    """Draw truth, prediction and errors, and slices across it; without truth the image and the prediction.

    Args:
        picture: the slices.
        labels: name of each label id.
        path: the .png to write.
        reason: why this case is shown, for the title.
    """
    rows = ("image", "prediction") if picture.planes[0].truth is None else ("truth", "prediction", "errors")
    figure, panels = _arrange(picture.planes, len(rows))
    for line, row in zip(panels, rows, strict=True):
        line[0].set_ylabel(row)
        for panel, plane in zip(line, picture.planes, strict=True):
            _draw_slice(panel, plane, picture.window)
            if row == "errors":
                _draw_errors(panel, plane)
            elif row != "image":
                _draw_labels(panel, plane.prediction if row == "prediction" else plane.truth)
    for panel, plane in zip(panels[0], picture.planes, strict=True):
        if plane.index is not None:
            panel.set_title(f"{plane.name or 'slice'} {plane.index}", fontsize="medium")
    _annotate(figure, picture, labels, reason)
    figure.savefig(path, bbox_inches="tight")
    return path


def _arrange(planes: Sequence[Plane], rows: int) -> tuple[Figure, np.ndarray]:
    """A figure and its panels (rows, planes), a column per plane; the rows of a single plane are side by side."""
    sizes = np.array([np.multiply(plane.image.shape[:2], plane.pixel) for plane in planes])
    heights, widths = (COLUMN * sizes / sizes[:, 1].max()).T  # in inches
    if len(planes) == 1:
        figure = Figure(figsize=(COLUMN * rows + 2.0, heights.max() + 1.0), dpi=150, layout="constrained")
        return figure, figure.subplots(1, rows, squeeze=False).T
    figure = Figure(figsize=(widths.sum() + 3.2, heights.max() * rows + 1.0), dpi=150, layout="constrained")
    return figure, figure.subplots(rows, len(planes), squeeze=False, width_ratios=widths)


def find_errors(plane: Plane) -> list[np.ndarray]:
    """The masks (rows, columns) of `ERRORS`, in their order."""
    assert plane.truth is not None, "errors are found against a truth"
    true, predicted = plane.truth, plane.prediction
    return [
        (true > 0) & (predicted == 0),
        (true == 0) & (predicted > 0),
        (true > 0) & (predicted > 0) & (true != predicted),
    ]


def gray_scale(window: tuple[float, float]) -> str:
    """The image values that are drawn black and white, in plain figures: -160 to 240, 0.02 to 0.98."""
    low, high = window
    decimals = max(0, 2 - math.floor(math.log10(high - low))) if high > low else 0
    return " to ".join(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in window)


def _draw_slice(panel: Axes, plane: Plane, window: tuple[float, float]) -> None:
    low, high = window
    shown = ((plane.image - low) / (high - low)).clip(0, 1)
    panel.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect=plane.pixel[0] / plane.pixel[1])
    panel.set(xticks=[], yticks=[])
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.96), (0.5, 0.04))
    for mark, (x, y) in zip(plane.marks, places, strict=False):
        panel.text(
            x, y, mark, color="white", ha="center", va="center", transform=panel.transAxes, path_effects=_OUTLINE
        )


def _draw_labels(panel: Axes, label_map: np.ndarray | None) -> None:
    assert label_map is not None, "a row of the truth is drawn where there is one"
    height, width = label_map.shape
    limits = panel.get_xlim(), panel.get_ylim()
    fill = np.zeros((height, width, 4))
    fill[label_map == UNKNOWN] = (*to_rgb(UNANNOTATED), ERROR_FILL)
    for label in _present(label_map):
        mask = label_map == label
        fill[mask] = (*_colour(label), FILL)
        # A margin of background, so that outlines close at the border of the picture.
        x, y = np.arange(-1, width + 1), np.arange(-1, height + 1)
        panel.contour(x, y, np.pad(mask, 1), levels=[0.5], colors=[_colour(label)], linewidths=1)
    panel.imshow(fill, aspect=panel.get_aspect())
    panel.set(xlim=limits[0], ylim=limits[1])


def _draw_errors(panel: Axes, plane: Plane) -> None:
    fill = np.zeros((*plane.prediction.shape, 4))
    for mask, colour in zip(find_errors(plane), ERRORS.values(), strict=True):
        fill[mask] = (*to_rgb(colour), ERROR_FILL)
    panel.imshow(fill, aspect=panel.get_aspect(), interpolation="nearest")


def _annotate(figure: Figure, picture: Picture, labels: Sequence[str], reason: str) -> None:
    score = "" if math.isnan(picture.mean_dice) else f": mean Dice {picture.mean_dice:.3f}"
    figure.suptitle(f"{picture.case}{score}{f' ({reason})' if reason else ''}")
    _add_legends(figure, picture, labels)
    scale = "" if picture.colour else f"gray scale {gray_scale(picture.window)}"
    convention = "radiological convention (patient's right on the left); " if picture.planes[0].marks else ""
    figure.supxlabel(convention + scale, fontsize="small")


def _add_legends(figure: Figure, picture: Picture, labels: Sequence[str]) -> None:
    maps = [array for plane in picture.planes for array in (plane.prediction, plane.truth) if array is not None]
    present = sorted(set().union(*map(_present, maps)))
    handles = [Patch(color=_colour(label), label=_legend(picture, labels, label)) for label in present]
    if any((array == UNKNOWN).any() for array in maps):
        handles.append(Patch(color=UNANNOTATED, label="not annotated"))
    if handles:
        title = "Dice of the case" if picture.dice else None
        figure.legend(handles=handles, loc="outside right upper", frameon=False, title=title)
    if picture.planes[0].truth is not None:
        found = [any(mask.any() for mask in masks) for masks in zip(*map(find_errors, picture.planes), strict=True)]
        kinds = zip(ERRORS.items(), found, strict=True)
        marked = [Patch(color=colour, label=name) for (name, colour), occurs in kinds if occurs]
        title = "errors" if marked else "no errors"
        figure.legend(handles=marked, loc="outside right lower", frameon=False, title=title)


def _legend(picture: Picture, labels: Sequence[str], label: int) -> str:
    scored = bool(picture.dice) and not math.isnan(picture.dice[label])
    return f"{labels[label]}  {picture.dice[label]:.2f}" if scored else labels[label]


def _present(label_map: np.ndarray) -> set[int]:
    return {label for label in np.unique(label_map).tolist() if label > 0}


def _colour(label: int) -> tuple[float, float, float]:
    return to_rgb(label_colour(label))
