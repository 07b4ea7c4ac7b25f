"""Videos with label maps drawn on them, for people to watch."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from medvid.data.images.palette import label_colour
from medvid.files import replace_file

FILL = 0.3
"""Opacity of a label's area; its outline is opaque."""
QUALITY = "18"
"""Rate factor of H.264, 0 to 51: differences are hardly visible."""

_UNIT = Fraction(1, 90_000)  # of the times of frames, as in MPEG
_COLOURS = np.array(
    [(0, 0, 0), *([int(label_colour(label)[place : place + 2], 16) for place in (1, 3, 5)] for label in range(1, 256))],
    np.uint8,
)


def write_overlay(path: Path, pictures: Iterable[np.ndarray], labels: np.ndarray, times: Sequence[float]) -> Path:
    """Write an .mp4 (H.264) of frames with their labels, complete or not at all, one frame at a time.

    It has the frames' size, but for a row or column that is repeated where that is odd.

    Args:
        path: the file; its folder exists.
        pictures: frames (H, W, 3) uint8.
        labels: ids of each (T, H, W) uint8; perhaps on the disk.
        times: when each is shown, in seconds from the first one.
    """
    import av

    shown = [round(time / _UNIT) for time in times]
    shown = [max(time, number) for number, time in enumerate(shown)]
    rate = Fraction(1 / max(_interval(times), 1e-3)).limit_denominator(1001)
    with replace_file(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY, "preset": "veryfast"})
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _UNIT
        stream.height, stream.width = (length + length % 2 for length in labels.shape[1:])
        for picture, ids, time in zip(pictures, labels, shown, strict=True):
            frame = av.VideoFrame.from_ndarray(_even(overlaid(picture, ids)), format="rgb24")
            frame.pts, frame.time_base = time, _UNIT
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def overlaid(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) uint8 with labels (H, W) in colour: outlines, and areas that let it through."""
    colours = _COLOURS[labels]
    tinted = (picture * np.float32(1 - FILL) + colours * np.float32(FILL)).round().astype(np.uint8)
    drawn = np.where((labels > 0)[..., None], tinted, picture)
    return np.asarray(np.where(_outline(labels)[..., None], colours, drawn))


def _outline(labels: np.ndarray) -> np.ndarray:
    """Pixels of a label beside which, by an edge, another one is."""
    around = np.pad(labels, 1, mode="edge")
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    return np.asarray((labels > 0) & np.logical_or.reduce([labels != side for side in sides]))


def _even(picture: np.ndarray) -> np.ndarray:
    """With an even height and width, as the colours of H.264 have half as many points."""
    rims = [(0, length % 2) for length in picture.shape[:2]]
    return np.pad(picture, [*rims, (0, 0)], mode="edge")


def _interval(times: Sequence[float]) -> float:
    """Mean seconds between frames; 1 of a single one."""
    steps = [after - before for before, after in pairwise(times)]
    return sum(steps) / len(steps) if sum(steps) > 0 else 1.0
