"""What is odd about training volumes as a whole, even if each of them is fine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from medvid.data.grid import Grid
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.formats.format import Geometry

_ALIKE = 1.05
"""Voxel sizes whose ratio is at most this count as equal: they differ by the rounding of scanners."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a volume along R, A and S.

    Args:
        shape: in voxels.
        spacing: of a voxel, in mm.
        has_unit: whether its file gives the unit of length.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    has_unit: bool

    @classmethod
    def of(cls, grid: Grid, geometry: Geometry) -> Self:
        """The size of a prepared case, as a model sees it."""
        return cls(grid.prepared_shape, grid.prepared_spacing, geometry.millimetres is not None)

    @classmethod
    def foreseen(cls, geometry: Geometry, spacing: tuple[float, ...] | None) -> Self:
        """The largest size for a file's geometry and the task's spacing; a crop can make it smaller."""
        order = closest_ras(geometry.affine)[:, 0].argsort()
        lengths, sizes = np.array(geometry.shape)[order], np.array(geometry.spacing)[order]
        target = sizes if spacing is None else np.array(spacing)
        voxels = np.round((lengths - 1) * sizes / target).astype(int) + 1
        return cls(tuple(voxels.tolist()), tuple(target.tolist()), geometry.millimetres is not None)


def mixed_voxel_sizes(extents: Sequence[Extent]) -> str:
    """Say that volumes differ in voxel size, which a network cannot know; empty if they do not."""
    sizes = np.array([extent.spacing for extent in extents])
    if len(sizes) < 2 or (sizes.max(axis=0) <= _ALIKE * sizes.min(axis=0)).all():
        return ""
    return (
        f"the voxel sizes of the {len(sizes)} training volumes differ, from {_by(sizes.min(axis=0))} to "
        f"{_by(sizes.max(axis=0))} mm (median {_by(np.median(sizes, axis=0))})"
    )


def small_volumes(extents: Sequence[Extent], patch: Sequence[int]) -> str:
    """Say that a patch is larger than volumes, which are padded to it; empty if it is not."""
    shapes = np.array([extent.shape for extent in extents]).reshape(-1, len(patch))
    count = int((shapes < patch).any(axis=1).sum())
    if not count:
        return ""
    return (
        f"the patch of {_by(patch)} voxels is larger than {count} of the {len(shapes)} training volumes, which are "
        f"padded with zeros (median volume {_by(np.median(shapes, axis=0))})"
    )


def unknown_units(extents: Sequence[Extent]) -> str:
    """Say that files do not give their unit of length; empty if all do."""
    count = sum(not extent.has_unit for extent in extents)
    return (
        f"{count} of the {len(extents)} training images do not give their unit of length: mm is assumed"
        if count
        else ""
    )


def _by(sizes: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes)
