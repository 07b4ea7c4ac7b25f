"""Pictures of labels and values along the frames of a video, or the slices of a volume."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot, which keeps global state
from matplotlib.patches import Patch

from medvid.evaluation.along import UNKNOWN_COLOUR, Cells, shortened

PANELS = 12
"""Values in a picture; of more, those with the largest answers."""
LINES = 30
"""Labels in a picture, likewise."""
MARKED = 400
"""Frames up to which each has a mark."""
TRUTH, PREDICTED = (0.0, 0.45, 0.7), (0.84, 0.37, 0.0)


def draw_timelines(
    cells: Cells, answers: np.ndarray, truth: np.ndarray | None, names: Sequence[str], title: str, path: Path
) -> Path:
    """Draw for each label a bar of the truth over one of the prediction, the darker the likelier.

    Args:
        cells: where the N frames lie.
        answers: probabilities (N, labels).
        truth: 0 or 1 (N, labels), NaN where unknown; None for a new case.
        names: of the labels.
        title: what stands above.
        path: the .png to write.
    """
    shown = _largest(answers if truth is None else np.fmax(answers, truth), LINES)
    figure = Figure(figsize=(10, 1.3 + 0.42 * len(shown)), dpi=100, layout="constrained")
    panel = figure.subplots()
    sides = [(PREDICTED, answers)] if truth is None else [(TRUTH, truth), (PREDICTED, answers)]
    for line, number in enumerate(shown):
        for side, (colour, frames) in enumerate(sides):
            height = 0.8 / len(sides)
            low = line + 0.1 + side * height
            panel.pcolormesh(
                cells.edges, [low, low + height], _shade(cells, frames[:, number], colour), rasterized=True
            )
    panel.set_yticks(np.arange(len(shown)) + 0.5, [shortened(names[number]) for number in shown])
    panel.set_ylim(len(shown), 0)
    panel.hlines(np.arange(1, len(shown)), cells.edges[0], cells.edges[-1], color="0.85", linewidth=0.8)
    cells.label(panel)
    handles = [Patch(color=PREDICTED, label="predicted (darker: likelier)")]
    if truth is not None:
        handles.insert(0, Patch(color=TRUTH, label="truth"))
        handles += [Patch(color=UNKNOWN_COLOUR, label="unknown")] if np.isnan(truth[:, shown]).any() else []
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium", wrap=True)
    figure.savefig(path)
    return path


def _shade(cells: Cells, frames: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """(1, cells, 3): from white, 0, to the colour, 1; gray where unknown."""
    share = cells.shares(frames)[:, None]
    shade = 1 - np.nan_to_num(share) * (1 - np.array(colour))
    return np.where(np.isnan(share), float(UNKNOWN_COLOUR), shade)[None]


def draw_values(
    cells: Cells,
    where: np.ndarray,
    answers: np.ndarray,
    truth: np.ndarray | None,
    names: Mapping[str, str],
    title: str,
    path: Path,
) -> Path:
    """Draw the answers for each value as a line, one above the other, and the truth where it is known.

    Args:
        cells: for the axis.
        where: place of each frame (N,).
        answers: (N, values).
        truth: (N, values), NaN where unknown; None for a new case.
        names: of the values, each with its unit.
        title: what stands above.
        path: the .png to write.
    """
    shown = _largest(answers, PANELS)
    figure = Figure(figsize=(10, 1 + 1.1 * len(shown)), dpi=100, layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False).flat
    marker = "." if len(where) <= MARKED else ""
    for panel, number in zip(panels, shown, strict=True):
        name, unit = [*names.items()][number]
        if truth is not None:
            panel.step(where, truth[:, number], where="mid", color="0.2", linewidth=1.2, label="truth")
        panel.plot(where, answers[:, number], marker=marker, markersize=3, linewidth=1, label="predicted")
        panel.set_ylabel(f"{shortened(name)} ({unit})" if unit else shortened(name), rotation=0, ha="right")
    cells.label(figure.axes[-1])
    figure.axes[0].legend(fontsize="small", ncols=2, loc="upper right")
    figure.suptitle(title, fontsize="medium", wrap=True)
    figure.savefig(path)
    return path


def _largest(answers: np.ndarray, count: int) -> list[int]:
    """Names with the largest answers (N, names), in their order."""
    most = np.max(answers, axis=0, where=~np.isnan(answers), initial=-np.inf)
    return sorted(np.argsort(-most, kind="stable")[:count].tolist())
