"""What pictures along the frames of a video, or the slices of a volume, share: their axis, and colours of classes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter, MultipleLocator

from medvid.data.framed import PLACES

MOST = 1500
"""Cells along a picture; of more frames, neighbours share one."""
UNKNOWN_COLOUR = "0.8"
"""Where nobody annotated."""
FEW = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
"""Colours of Okabe and Ito, of as many classes as can be told apart by colour alone."""
_GOLDEN = 0.618
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_TICKS = 10
_SHOWN = (20, 13)  # letters of long names


def class_colours(count: int) -> np.ndarray:
    """Colours (count, 3) that people tell apart who do not see red or green, the same for a class in all pictures.

    Of more than eight they repeat in hue, so that a picture of many classes has to place them apart, too; neighbours
    still differ in lightness.
    """
    if count <= len(FEW):
        return np.array([to_rgb(colour) for colour in FEW[:count]]).reshape(-1, 3)
    return np.array([colormaps["viridis"]((number * _GOLDEN) % 1)[:3] for number in range(count)])


def shortened(name: str) -> str:
    """A name that fits beside a picture: of a long one its beginning and its end, by which names differ."""
    return name if len(name) <= sum(_SHOWN) else f"{name[: _SHOWN[0]]}\u2026{name[-_SHOWN[1] :]}"


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells along an axis, each of one frame, or of several neighbours.

    Args:
        starts: first frame of each cell.
        edges: where cells begin and end, one more than cells.
        column: what that is: its name in tables, with the unit at the end.
    """

    starts: np.ndarray
    edges: np.ndarray
    column: str

    @classmethod
    def of(cls, where: np.ndarray, column: str) -> Self:
        """The cells of frames at these places (N,), in order."""
        starts = np.arange(0, len(where), -(-len(where) // MOST))
        width = (np.median(np.diff(where)) if len(where) > 1 else 0.0) or 1.0
        borders = np.concatenate([[where[0] - width / 2], (where[:-1] + where[1:]) / 2, [where[-1] + width / 2]])
        return cls(starts, borders[[*starts, len(where)]], column)

    def shares(self, frames: np.ndarray) -> np.ndarray:
        """The mean over the frames of each cell, of (N, ...); what is NaN does not count."""
        known = ~np.isnan(frames)
        total = np.add.reduceat(np.where(known, frames, 0), self.starts)
        counts = np.add.reduceat(known.astype(np.float64), self.starts)
        means: np.ndarray = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
        return means

    def label(self, panel: Axes) -> None:
        """Say along the axis of a panel, the lowest one, where frames lie; times as minutes and seconds."""
        panel.set_xlim(self.edges[0], self.edges[-1])
        name, _, unit = self.column.rpartition("_")
        length = abs(self.edges[-1] - self.edges[0])
        step = next((one for one in _STEPS if length / one <= _TICKS), None)
        if self.column != PLACES["frame"] or length < 2:
            panel.set_xlabel(f"{name} ({unit})")
            return
        if step:
            panel.xaxis.set_major_locator(MultipleLocator(step))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda time, _: clock(time)))
        panel.set_xlabel("time (h:min:s)" if self.edges[-1] >= 3600 else "time (min:s)")


def clock(seconds: float) -> str:
    """A time as minutes and seconds, and hours where there are any: 1:05, 1:01:05."""
    minutes, second = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if round(seconds) < 0 else ""
    return f"{sign}{hours}:{minutes:02d}:{second:02d}" if hours else f"{sign}{minutes}:{second:02d}"
