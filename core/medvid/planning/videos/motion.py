"""How fast the pictures of a video change, from small gray ones."""

from typing import Any

import numpy as np

from medvid.data.videos.video import Video

_WINDOW = 4.0
"""Seconds in the middle of a video that are looked at."""
_PICTURES = 40
_SIDE = 16
_STILL = 0.5
"""Mean difference, of 255 gray values, below which nothing moves."""
_BYTES = 64 * 2**20
"""Of decoded frames in memory at once."""


def half_change(video: Video, frame_bytes: int) -> float | None:
    """Seconds after which pictures differ half as much as they ever do, up to two seconds apart.

    The middle of the video is shrunk to 16 x 16 gray pixels, which noise and compression hardly change.

    Args:
        video: open.
        frame_bytes: of a frame, which limits how many are decoded at once.

    Returns:
        None where nothing moves.
    """
    length = video.length
    window = min(length.duration, _WINDOW)
    step = max(1 / length.fps, window / _PICTURES)
    times = (length.duration - window) / 2 + np.arange(max(1, int(window / step))) * step
    at_once = max(1, _BYTES // frame_bytes)
    parts = (video.frames_at(times[first : first + at_once].tolist()) for first in range(0, len(times), at_once))
    small = np.concatenate([_shrunk(part) for part in parts])
    return lag_of_half(small, step)


def lag_of_half(pictures: np.ndarray, step: float) -> float | None:
    """The lag at which the mean difference between pictures first reaches half of its largest value.

    Args:
        pictures: (N, H, W), 0 to 255.
        step: seconds between them.

    Returns:
        Seconds, interpolated between lags; None where the largest difference is below half a gray value.
    """
    lags = range(1, len(pictures) // 2 + 1)
    different = np.array([0.0, *(np.abs(pictures[lag:] - pictures[:-lag]).mean() for lag in lags)])
    if different.max() < _STILL:
        return None
    half = different.max() / 2
    lag = int(np.argmax(different >= half))
    below, above = different[lag - 1], different[lag]
    return float((lag - 1 + (half - below) / (above - below)) * step)


def _shrunk(frames: np.ndarray) -> np.ndarray:
    """Frames (N, H, W, 3) as means over a grid of cells, (N, 16, 16) float32; at most as many cells as pixels."""
    gray: Any = frames.mean(axis=3, dtype=np.float32)
    for axis in (1, 2):
        length = gray.shape[axis]
        begins = np.arange(min(_SIDE, length)) * length // min(_SIDE, length)
        sizes = np.diff([*begins, length]).reshape([-1 if dim == axis else 1 for dim in range(3)])
        gray = np.add.reduceat(gray, begins, axis=axis) / sizes
    return np.asarray(gray, np.float32)
