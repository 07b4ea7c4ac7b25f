"""Geometry of affines: maps from voxel indices to RAS+ millimetres, (4, 4) float64."""

import itertools

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.quaternions import quat2mat

_HAIR = quat2mat([1, 0.003, 0.004, 0.005])  # a turn by 0.8 degrees about an axis that no scanner uses
_PERMUTATIONS = [np.eye(3)[list(order)] for order in itertools.permutations(range(3))]


def closest_ras(affine: np.ndarray) -> np.ndarray:
    """The permutation and flips of voxel axes that bring them closest to right, anterior and superior.

    Scans are sometimes prescribed at 45 degrees, where two answers are equally close and rounding would decide. So the
    axes are judged as if turned slightly: files of one scan that differ only by rounding, or by the order and direction
    of their axes, get the same orientation.

    Args:
        affine: (4, 4); its axes can be sheared.

    Returns:
        (3, 2) as `nibabel.io_orientation`: for each voxel axis the RAS axis, and 1 or -1.
    """
    directions = _HAIR @ (affine[:3, :3] / voxel_sizes(affine))  # [RAS axis, voxel axis]
    best = max(_PERMUTATIONS, key=lambda order: float((np.abs(directions) * order).sum()))
    axes = best.argmax(axis=0)
    return np.stack([axes, np.where(directions[axes, range(3)] < 0, -1, 1)], axis=1)


def displacement(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """The largest distance between the places that two affines give a corner of a volume, in voxels of the first."""
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in shape), (1,), indexing="ij")).reshape(4, -1)
    millimetres = np.linalg.norm(((one - other) @ corners)[:3], axis=0)
    return float(millimetres.max() / voxel_sizes(one).min())


def is_singular(affine: np.ndarray) -> bool:
    """Whether an affine has values that are not finite, or does not span three dimensions."""
    linear = affine[:3, :3]
    scale = np.linalg.norm(linear, axis=0)
    return not np.isfinite(affine).all() or bool(abs(np.linalg.det(linear)) <= 1e-6 * scale.prod())


def describe(affine: np.ndarray) -> str:
    """An affine for an error message: its numbers, and the letters of its axes."""
    codes = "".join(code or "?" for code in nib.aff2axcodes(affine))
    return f"{np.round(affine[:3], 4).tolist()} ({codes})"
