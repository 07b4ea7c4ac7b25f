"""Decoded frames as a player shows them: turned and mirrored as the file says, with square pixels."""

from typing import Any

import numpy as np

_SQUARE = 0.02
"""Pixels closer than this to square are left alone: scaling rounds widths, and files record the difference."""
_LONGEST = 8
"""Ratio of the sides of a pixel beyond which a file is not trusted."""

Turn = tuple[int, int, int, int]
"""The transform of a frame's axes: a, b, c, d of (x, y) -> (a x + c y, b x + d y); all are -1, 0 or 1."""
UPRIGHT: Turn = (1, 0, 0, 1)


def turn_of(frame: Any) -> Turn:
    """How to turn or mirror a frame of PyAV, by its display matrix.

    Raises:
        ValueError: the angle is not 90, 180 or 270 degrees, or the frame is sheared.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(np.float64)
    largest = max(abs(a), abs(b), abs(c), abs(d))
    if not largest:
        return UPRIGHT  # some cameras leave it empty
    turn = tuple(round(value / largest) for value in (a, b, c, d))
    straight = np.abs(np.array([a, b, c, d]) / largest - turn).max() < _SQUARE
    if not straight or abs(turn[0] * turn[3] - turn[1] * turn[2]) != 1:
        raise ValueError("its display angle is not a multiple of 90 degrees: re-encode it")
    return turn


def square_size(frame: Any, aspect: Any) -> tuple[int, int]:
    """Width and height of a frame of PyAV with square pixels, before it is turned; the side that is too short grows.

    Args:
        frame: the frame.
        aspect: width of its pixels by their height; None or 0 if unknown.
    """
    ratio = float(aspect or 1)
    if abs(ratio - 1) < _SQUARE or not 1 / _LONGEST <= ratio <= _LONGEST:
        return frame.width, frame.height
    if ratio > 1:
        return round(frame.width * ratio), frame.height
    return frame.width, round(frame.height / ratio)


def turned(picture: np.ndarray, turn: Turn) -> np.ndarray:
    """A frame (H, W, 3), turned and mirrored."""
    a, b, c, d = turn
    if a:
        return picture[::d, ::a]
    return picture.swapaxes(0, 1)[::b, ::c]
