"""How far examples are turned, and how much larger they are cut to have something to turn in: nnU-Net's rules."""

import math
from collections.abc import Sequence

from medvid.plugin.specs import Axes

_THIN, _OBLONG = 3.0, 1.5
"""Ratios of lengths above which a volume counts as slices, and an image as one that is not turned far."""
_SHRINKING = 0.85
"""The part of the length of a turned example that is cut without regard to scaling, so that less has to be read."""


def slice_axis_of(chosen: str, axes: Axes, size: Sequence[int]) -> int | None:
    """The axis of *S across slices: time of a video, that of a volume by its name or by the lengths, else None.

    Args:
        chosen: "R", "A", "S", "none", or "auto" for the shortest axis where the longest is over 3 times longer.
        axes: what the example has.
        size: *S.
    """
    if axes == "video":
        return 0
    if axes == "image" or chosen == "none":
        return None
    if chosen != "auto":
        return "RAS".index(chosen)
    return size.index(min(size)) if max(size) > _THIN * min(size) else None


def largest_angle(chosen: float | None, size: Sequence[int], slice_axis: int | None) -> float:
    """The largest angle in degrees: the chosen one, else nnU-Net's for examples of this size *S."""
    if chosen is not None:
        return chosen
    if len(size) == 3:
        return 30.0 if slice_axis is None else 180.0
    return 15.0 if max(size) > _OBLONG * min(size) else 180.0


def initial_size(size: Sequence[int], degrees: float, slice_axis: int | None = None) -> tuple[int, ...]:
    """Size of the example that is turned before one of `size` is taken out of its middle.

    The vector to the example's corner is turned by the largest angle, at most 90 degrees, about each axis in turn; each
    axis gets the largest extent that occurs, and something for scaling. The turns go one way only, so the order of the
    axes counts.

    Args:
        size: *S, the coarsest axis first, as nnU-Net has it.
        degrees: largest angle.
        slice_axis: axis of `size` that is left as it is.
    """
    if slice_axis is not None:
        plane = iter(initial_size([n for axis, n in enumerate(size) if axis != slice_axis], degrees))
        return tuple(n if axis == slice_axis else next(plane) for axis, n in enumerate(size))
    angle = min(90 / 360, degrees / 360) * 2 * math.pi
    cos, sin = math.cos(angle), math.sin(angle)
    turned: list[tuple[float, ...]]
    if len(size) == 2:
        x, y = size
        turned = [(x, x * cos + y * sin), (y, y * cos - x * sin)]
    else:
        x, y, z = size
        turned = [
            (x, x * cos - z * sin, x * cos + y * sin),
            (y, y * cos + z * sin, y * cos - x * sin),
            (z, z * cos - y * sin, z * cos + x * sin),
        ]
    return tuple(int(max(map(abs, extents)) / _SHRINKING) for extents in turned)
