"""The left ventricle as a mask: a polygon through the ends of a tracing's chords, as in EchoNet-Dynamic's code."""

import numpy as np

from medvid_echonet.tracing_table import Chords


def mask_of(chords: Chords, shape: tuple[int, int]) -> np.ndarray:
    """The mask of a traced frame.

    The polygon goes down the first ends of the chords and up the second ones, rounded to pixels (halves to the even
    one); the first chord, the long axis, is left out.

    Args:
        chords: X1, Y1, X2, Y2 of each.
        shape: height and width of the frame.

    Returns:
        (height, width) bool.
    """
    columns, rows = _corners(chords).T
    return polygon_mask(np.rint(rows).astype(np.int64), np.rint(columns).astype(np.int64), shape)


def area_of(chords: Chords) -> float:
    """The area of that polygon, not rounded, in pixels."""
    columns, rows = _corners(chords).T
    return abs(float(columns @ np.roll(rows, -1) - rows @ np.roll(columns, -1))) / 2


def _corners(chords: Chords) -> np.ndarray:
    """X and Y of the corners (N, 2)."""
    ends = np.asarray(chords, np.float64).reshape(-1, 4)[1:]
    return np.concatenate([ends[:, :2], ends[::-1, 2:]])


def polygon_mask(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres are inside of a polygon or on its edge (even-odd rule; O'Rourke, 1998, section 7.4).

    Args:
        rows: of its corners (N,) int64.
        columns: likewise.
        shape: height and width of the mask; what lies outside of it is cut off.

    Returns:
        (height, width) bool.
    """
    y, x = (places[..., np.newaxis] for places in np.indices(shape, np.int64))
    dy, dx = rows - y, columns - x  # (height, width, N), from the pixel to each corner
    y0, x0 = np.roll(dy, 1, axis=-1), np.roll(dx, 1, axis=-1)
    # Where an edge meets the pixel's row, times dy - y0; so integers are enough.
    meets, rises = x0 * dy - dx * y0, dy - y0
    to_right = (((dy > 0) != (y0 > 0)) & (meets * np.sign(rises) > 0)).sum(-1) % 2
    to_left = (((dy < 0) != (y0 < 0)) & (meets * np.sign(rises) < 0)).sum(-1) % 2
    is_corner = ((dy == 0) & (dx == 0)).any(-1)
    inside: np.ndarray = (to_right == 1) | (to_right != to_left) | is_corner
    return inside
