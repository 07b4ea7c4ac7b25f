"""Distances between surfaces, weighted by area, as DeepMind's surface-distance defines them.

A surface is looked for between the voxels: a *surfel* lies where the eight voxels (four pixels) about a corner are not
all alike. Marching cubes cut through the middles of the edges there, and the area of the cut is the surfel's weight.
Nikolov et al., Journal of Medical Internet Research 2021.

Where a surface is empty, distances to it are infinite, and means and fractions of it are not defined.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from medvid.evaluation.metrics.components import bounding_box

Corner = tuple[int, ...]

HD95_DEFINITION = (
    "HD95 by surfels is the larger of the two 95th percentiles, weighted by area, of the distances between surfaces "
    "that marching cubes find, as in DeepMind's surface-distance"
)
SURFACE_DICE_DEFINITION = (
    "surface Dice by surfels is the fraction of the area of both surfaces that lies within the tolerance of the other, "
    "as in DeepMind's surface-distance"
)


@dataclass(frozen=True, slots=True)
class Directed:
    """The surfels of one surface.

    Args:
        distances: (N,) to the other surface, in mm, rising; infinite where that is empty.
        areas: (N,) in mm^2; of images lengths in mm.
    """

    distances: np.ndarray
    areas: np.ndarray

    def mean(self) -> float:
        """Mean distance by area; NaN of an empty surface."""
        return _over(float((self.distances * self.areas).sum()), self.areas.sum()) if len(self.areas) else math.nan

    def percentile(self, percent: float) -> float:
        """The distance within which so much of the area lies; infinite of an empty surface."""
        if not len(self.areas):
            return math.inf
        reached = np.searchsorted(np.cumsum(self.areas) / self.areas.sum(), percent / 100)
        return float(self.distances[min(int(reached), len(self.distances) - 1)])

    def within(self, tolerance: float) -> float:
        """The area within a tolerance in mm."""
        # Multiples of the spacing that equal the tolerance must not fall out by the rounding of a file's affine.
        return float(self.areas[self.distances <= tolerance * (1 + 1e-5)].sum())

    def overlap(self, tolerance: float) -> float:
        """The part of the area within a tolerance in mm; NaN of an empty surface."""
        return _over(self.within(tolerance), self.areas.sum())


Surfaces = tuple[Directed, Directed]
"""From prediction to truth, and back."""


def surfel_distances(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float], unknown: np.ndarray | None = None
) -> Surfaces:
    """Distances between the surfaces of two masks.

    Args:
        prediction: (*S) bool of two or three axes.
        truth: likewise.
        spacing: voxel size on each axis, in mm.
        unknown: voxels next to which there is no surface, if there may be any.
    """
    (predicted, areas), (true, true_areas) = (
        _surfels(mask, tuple(map(float, spacing)), unknown) for mask in (prediction, truth)
    )
    return _directed(predicted, areas, true, spacing), _directed(true, true_areas, predicted, spacing)


def hausdorff(surfaces: Surfaces, percent: float = 95) -> float:
    """The larger of the two percentiles in mm, see `HD95_DEFINITION`; infinite if a surface is empty."""
    return max(directed.percentile(percent) for directed in surfaces)


def surface_dice(surfaces: Surfaces, tolerance: float) -> float:
    """See `SURFACE_DICE_DEFINITION`; NaN if both surfaces are empty."""
    area = sum(float(directed.areas.sum()) for directed in surfaces)
    return _over(sum(directed.within(tolerance) for directed in surfaces), area)


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _directed(surface: np.ndarray, areas: np.ndarray, other: np.ndarray, spacing: Sequence[float]) -> Directed:
    distances = np.full(len(surface), np.inf)
    if len(surface) and len(other):
        nearest = KDTree(other * spacing).query(surface * spacing)[1]
        # Of whole steps, so that equal steps are equally far, wherever they are.
        distances = np.sqrt((((surface - other[nearest]) * spacing) ** 2).sum(axis=1))
    order = np.lexsort((areas, distances))
    return Directed(distances[order], areas[order])


def _surfels(mask: np.ndarray, spacing: tuple[float, ...], unknown: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The corners between voxels that a surface passes (N, axes), as positions of the voxels behind them; and areas."""
    box = bounding_box(mask)
    around = tuple(slice(side.start, side.stop + 2) for side in box)  # in a padded array
    areas = area_table(spacing)[_codes(np.pad(mask[box], 1))]
    if unknown is not None:
        areas[_codes(np.pad(unknown, 1)[around]) > 0] = 0
    return np.argwhere(areas > 0) + [side.start for side in box], areas[areas > 0]


def _codes(around: np.ndarray) -> np.ndarray:
    """Which of the voxels about each corner inside of an array are set, as bits in the order of `_corners`."""
    codes = np.zeros([length - 1 for length in around.shape], np.uint8)
    for bit, corner in enumerate(_corners(around.ndim)):
        part = around[tuple(slice(start, start + length) for start, length in zip(corner, codes.shape, strict=True))]
        codes |= part.astype(np.uint8) << bit
    return codes


def _corners(axes: int) -> tuple[Corner, ...]:
    return tuple(itertools.product((0, 1), repeat=axes))


@lru_cache(maxsize=64)
def area_table(spacing: tuple[float, ...]) -> np.ndarray:
    """Area of the surfel of each code (of images: length), by the spacing in mm.

    The cut is that of the smaller side; its parts, connected by edges of the cube, are cut off one by one.
    """
    corners = _corners(len(spacing))
    table = np.zeros(1 << len(corners))
    for code in range(len(table)):
        inside = [corner for bit, corner in enumerate(corners) if code >> bit & 1]
        if len(inside) > len(corners) // 2:
            inside = [corner for corner in corners if corner not in inside]
        table[code] = sum(_cut(part, spacing) for part in _parts(inside, len(spacing)))
    return table


def _parts(corners: Sequence[Corner], axes: int) -> list[np.ndarray]:
    """Corners of a cube (or square), by which are connected by its edges."""
    cube = np.zeros((2,) * axes, bool)
    for corner in corners:
        cube[corner] = True
    numbers, count = ndimage.label(cube)
    return [np.argwhere(numbers == number) for number in range(1, count + 1)]


def _cut(part: np.ndarray, spacing: tuple[float, ...]) -> float:
    """Area (length) of the cut that separates connected corners (N, axes), at most half of all, from the others."""
    spread = np.flatnonzero(np.ptp(part, axis=0))  # the axes along which they differ
    if len(spacing) == 2:
        return spacing[int(spread[0])] if len(part) == 2 else math.hypot(*spacing) / 2
    sides = math.prod(spacing) / np.asarray(spacing)  # areas of the voxel's faces, by the axis across
    corner = math.hypot(*sides) / 8
    ramps = [math.hypot(*np.delete(sides, axis)) / 4 for axis in range(3)]  # half of the cut along an edge, by its axis
    if len(part) == 1:
        return corner
    if len(part) == 2:
        return 2 * ramps[int(spread[0])]
    if len(spread) == 2:  # in one face
        [across] = set(range(3)) - set(spread.tolist())
        return float(3 * corner + sides[across] / 2 if len(part) == 3 else sides[across])
    neighbours = np.abs(part[:, None] - part).sum(axis=2) == 1
    ends = neighbours.sum(axis=1) == 1
    if ends.sum() == 3:  # a corner and its three neighbours
        return 6 * corner
    last = np.abs(part[ends] - part[neighbours[ends].argmax(axis=1)])  # the steps at both ends of a path of four
    return float(4 * corner + sum(ramps[axis] for axis in last.argmax(axis=1).tolist()))
