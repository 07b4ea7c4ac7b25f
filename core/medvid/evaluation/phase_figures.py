"""Pictures of a class per frame: the ribbon of a video, and what a class is taken for along its runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot, which keeps global state
from matplotlib.patches import Patch

from medvid.evaluation.along import FEW, UNKNOWN_COLOUR, Cells, class_colours, shortened
from medvid.evaluation.metrics.phases import runs
from medvid.evaluation.videos import Video
from medvid.plugin.info import UNKNOWN

ROWS = 30
"""Classes in a picture; of more, those with the most frames."""
BINS = 50
"""Steps along a run."""
_PALE = 0.35


def draw_ribbon(
    cells: Cells, predicted: np.ndarray, truth: np.ndarray | None, names: Sequence[str], title: str, path: Path
) -> Path:
    """Draw truth over prediction as ribbons along time, where they differ, and below them a line for each class.

    Args:
        cells: where the N frames lie.
        predicted: class of each frame (N,).
        truth: likewise, `UNKNOWN` where nobody annotated; None for a new case.
        names: of the classes.
        title: what stands above.
        path: the .png to write.
    """
    sides = [predicted] if truth is None else [truth, predicted]
    present = _most(np.concatenate(sides), len(names))
    ribbons = len(sides) + (truth is not None)
    figure = Figure(figsize=(10, 1.5 + 0.3 * (ribbons + len(present))), dpi=100, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(ribbons, max(len(present), 1)))
    _draw_ribbons(top, cells, predicted, truth, len(names))
    _draw_lines(below, cells, sides, present, names)
    cells.label(below)
    if truth is not None:
        handles = [Patch(color="0.3", alpha=_PALE, label="truth"), Patch(color="0.3", label="predicted")]
        handles += [Patch(color=UNKNOWN_COLOUR, label="unknown")] if (truth == UNKNOWN).any() else []
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium", wrap=True)
    figure.savefig(path)
    return path


def _draw_ribbons(panel: Axes, cells: Cells, predicted: np.ndarray, truth: np.ndarray | None, count: int) -> None:
    colours = np.vstack([class_colours(count), np.full(3, float(UNKNOWN_COLOUR))])  # the last one is UNKNOWN's
    rows, labels = [_ribbon(cells, predicted, colours)], ["predicted"]
    if truth is not None:
        wrong = np.where(truth == UNKNOWN, np.nan, truth != predicted)
        dark = 1 - np.nan_to_num(cells.shares(wrong))[:, None].repeat(3, axis=1)
        rows, labels = [_ribbon(cells, truth, colours), *rows, dark], ["truth", *labels, "wrong"]
    _mesh(panel, cells, np.stack(rows))
    panel.set_yticks(np.arange(len(rows)) + 0.5, labels)
    panel.hlines(np.arange(1, len(rows)), cells.edges[0], cells.edges[-1], color="white", linewidth=2)


def _ribbon(cells: Cells, classes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The colour of each cell (cells, 3): that of the class that most of its frames have."""
    present = np.unique(classes)
    shares = cells.shares((classes[:, None] == present).astype(np.float64))
    shown: np.ndarray = colours[present[shares.argmax(axis=1)]]
    return shown


def _draw_lines(
    panel: Axes, cells: Cells, sides: Sequence[np.ndarray], present: Sequence[int], names: Sequence[str]
) -> None:
    """A line for each class: the truth pale and wide, the prediction full and narrow inside it."""
    colours = class_colours(len(names))
    for line, number in enumerate(present):
        for side, classes in enumerate(sides):
            predicted = side == len(sides) - 1
            low, high = (0.3, 0.7) if predicted and len(sides) > 1 else (0.1, 0.9)
            share = cells.shares((classes == number).astype(np.float64))
            shade = np.empty((1, len(share), 4))
            shade[..., :3], shade[..., 3] = colours[number], share * (1 if predicted else _PALE)
            panel.pcolormesh(cells.edges, [line + low, line + high], shade, rasterized=True)
    panel.set_yticks(np.arange(len(present)) + 0.5, [shortened(names[number]) for number in present])
    panel.set_ylim(max(len(present), 1), 0)
    panel.hlines(np.arange(1, len(present)), cells.edges[0], cells.edges[-1], color="0.9", linewidth=0.8)


def _mesh(panel: Axes, cells: Cells, rows: np.ndarray) -> None:
    panel.pcolormesh(cells.edges, np.arange(len(rows) + 1), rows, rasterized=True)
    panel.set_ylim(len(rows), 0)


def draw_mistakes(videos: Sequence[Video], names: Sequence[str], path: Path) -> Path:
    """Draw for each class what its frames are taken for, from the start of its runs to their end; runs count alike.

    Args:
        videos: of which some frame has a class.
        names: of the classes.
        path: the .png to write.
    """
    taken, counts = taken_for(videos, len(names))
    shown = [number for number in _most(np.concatenate([one.truth for one in videos]), len(names)) if counts[number]]
    figure = Figure(figsize=(9, 1.4 + 0.45 * len(shown)), dpi=100, layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False).flat
    colours, edges = class_colours(len(names)), np.linspace(0, 100, BINS + 1)
    for panel, number in zip(panels, shown, strict=True):
        base = np.zeros(BINS)
        for other in [number, *(one for one in range(len(names)) if one != number)]:  # what is right lies lowest
            if taken[number, :, other].any():
                top = base + taken[number, :, other]
                panel.stairs(top, edges, baseline=base, fill=True, color=colours[other])
                base = top
        panel.set(ylim=(0, 1), yticks=[], xlim=(0, 100))
        runs_of = f"{counts[number]} run{'' if counts[number] == 1 else 's'}"
        panel.set_ylabel(
            f"{shortened(names[number])}\n{runs_of}", rotation=0, ha="right", va="center", fontsize="small"
        )
        if len(names) > len(FEW):  # colours alone would not tell
            panel.text(101, 0.5, _mistaken(taken[number].mean(axis=0), number, names), va="center", fontsize="small")
    figure.axes[-1].set_xlabel("place in a run of the true class (%)")
    if len(names) <= len(FEW):
        seen = [number for number in range(len(names)) if taken[:, :, number].any()]
        handles = [Patch(color=colours[number], label=shortened(names[number])) for number in seen]
        figure.legend(handles=handles, title="taken for", loc="outside right upper", frameon=False, fontsize="small")
    figure.suptitle("what each class is taken for along its runs", fontsize="medium")
    figure.savefig(path)
    return path


def _mistaken(shares: np.ndarray, own: int, names: Sequence[str]) -> str:
    """What a class is most often mistaken for, and how often, by the shares (classes,) of what it is taken for."""
    others = np.where(np.arange(len(shares)) == own, 0, shares)
    most = int(others.argmax())
    return f"{others[most]:.0%} as {shortened(names[most])}" if others[most] else "never mistaken"


def taken_for(videos: Sequence[Video], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of predicted classes (true class, `BINS`, predicted class) along the runs of each true class.

    Returns:
        The shares, which add up to 1 where a class has runs, and the number of its runs (count,).
    """
    taken, found = np.zeros((count, BINS, count)), np.zeros(count, np.int64)
    bins = np.arange(BINS)
    for video in videos:
        for phase, run in runs(video.truth):
            answers = video.prediction[run]
            taken[phase, bins, answers[((bins + 0.5) / BINS * len(answers)).astype(np.int64)]] += 1
            found[phase] += 1
    return taken / np.maximum(found, 1)[:, None, None], found


def _most(classes: np.ndarray, count: int) -> list[int]:
    """The classes that occur, in order; of more than `ROWS` those with the most frames."""
    frames = np.bincount(classes[classes != UNKNOWN], minlength=count)
    most = np.argsort(-frames, kind="stable")[:ROWS]
    return sorted(number for number in most.tolist() if frames[number])
