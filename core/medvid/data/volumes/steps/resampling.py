"""Resampling to another number of voxels over the same extent, as nnU-Net resamples.

Its numbers are those of scipy's `zoom(mode="nearest", grid_mode=True)`, which interpolates with B-splines (Unser et
al., 1993, doi:10.1109/78.193220). They are separable: resampling is the product with one matrix per axis, and that is
what `zoom` makes of the unit vectors. Weights fall off so fast with the distance that the matrix is a band, so that a
few small matrix products per axis do.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from medvid.data.volumes.steps.labelling import largest_indicator

_ANISOTROPIC = 3.0
_ROWS = 32  # of a matrix that are multiplied at once
_NEGLIGIBLE = 1e-12


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]) -> tuple[int, ...]:
    """The number of voxels (per axis) that come closest to a target voxel size; at least one.

    Args:
        shape: of the volume.
        spacing: its voxel size.
        target: voxel size to come to, in the same unit.
    """
    axes = zip(spacing, target, shape, strict=True)
    return tuple(max(1, round(old / new * length)) for old, new, length in axes)


def axis_apart(spacing: Sequence[float], target: Sequence[float], separate: bool | str) -> int | None:
    """The axis that is resampled on its own, see `ResamplingOptions.separate_z`; None if all are alike.

    Args:
        spacing: voxel size before.
        target: and after resampling.
        separate: ``"auto"``, or whether it is the coarsest axis before.
    """
    if separate == "auto":
        candidates = [sizes for sizes in (spacing, target) if max(sizes) / min(sizes) > _ANISOTROPIC]
    else:
        candidates = [spacing] if separate else []
    if not candidates:
        return None
    coarsest = [axis for axis, size in enumerate(candidates[0]) if size == max(candidates[0])]
    return coarsest[0] if len(coarsest) == 1 else None


def resample_image(
    image: np.ndarray, shape: Sequence[int], order: int, order_z: int = 0, apart: int | None = None
) -> np.ndarray:
    """Resample intensities, and clip them to the range that they had.

    Args:
        image: (C, *S).
        shape: new S.
        order: degree of the spline, 0 to 5.
        order_z: degree along the axis ``apart``.
        apart: axis that is resampled after the others; then each slice keeps its own range.

    Returns:
        (C, *shape) float32.
    """
    return np.stack([_resample_channel(channel, shape, order, order_z, apart) for channel in image])


def resample_labels(
    labels: np.ndarray, shape: Sequence[int], order: int = 1, order_z: int = 0, apart: int | None = None
) -> np.ndarray:
    """Resample labels: the one whose indicator is largest after interpolation, and of equal ones the nearest voxel's.

    Args:
        labels: (*S) integers.
        shape: new S.
        order: 0 for the nearest voxel's label, or 1.
        order_z: likewise along the axis ``apart``.
        apart: axis that is resampled after the others.
    """
    first = [length if axis == apart else shape[axis] for axis, length in enumerate(labels.shape)]
    for new, degree in ((first, order), (shape, order_z)):
        if tuple(new) != labels.shape:
            operators = [_operator(old, length, degree).numpy() for old, length in zip(labels.shape, new, strict=True)]
            labels = largest_indicator(labels, operators)
    return labels


def _resample_channel(
    channel: np.ndarray, shape: Sequence[int], order: int, order_z: int, apart: int | None
) -> np.ndarray:
    if channel.shape == tuple(shape):
        return channel.astype(np.float32, copy=False)
    volume = torch.from_numpy(channel.astype(np.float64))
    within = [axis for axis in range(volume.ndim) if axis != apart]
    low, high = volume.amin(within, keepdim=True), volume.amax(within, keepdim=True)
    for axis in sorted(within, key=lambda axis: shape[axis] / channel.shape[axis]):  # those that shrink come first
        volume = _resample_axis(volume, axis, shape[axis], order)
    volume = volume.clamp_(low, high) if order > 1 else volume
    if apart is not None:
        volume = _resample_axis(volume, apart, shape[apart], order_z)
    return volume.to(torch.float32).numpy()


def _resample_axis(volume: Tensor, axis: int, length: int, order: int) -> Tensor:
    if volume.shape[axis] == length:
        return volume
    operator = _operator(volume.shape[axis], length, order)
    if order == 0:
        return volume.index_select(axis, operator.argmax(dim=1))
    before, after = volume.shape[:axis], volume.shape[axis + 1 :]
    flat = volume.reshape(prod(before), -1, prod(after))
    resampled = flat.new_empty(len(flat), length, flat.shape[2])
    for start in range(0, length, _ROWS):
        rows = operator[start : start + _ROWS]
        used = rows.any(dim=0).nonzero()
        band = slice(int(used[0]), int(used[-1]) + 1)
        part = resampled[:, start : start + _ROWS]
        if after:
            part.copy_(rows[:, band] @ flat[:, band])
        else:
            part.copy_((flat[:, band, 0] @ rows[:, band].T)[..., None])
    return resampled.reshape(*before, length, *after)


@lru_cache(maxsize=64)
def _operator(old: int, new: int, order: int) -> Tensor:
    """What resampling an axis multiplies it with, (new, old) float64."""
    matrix = ndimage.zoom(np.eye(old), (new / old, 1), order=order, mode="nearest", grid_mode=True)
    if order > 1:  # whose splines are wider than the few voxels that the matrix says then
        matrix[np.abs(matrix) < _NEGLIGIBLE] = 0
    return torch.from_numpy(matrix)
