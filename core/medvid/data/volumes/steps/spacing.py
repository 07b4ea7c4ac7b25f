"""Resampling of a scan to another voxel size."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.affines import voxel_sizes

from medvid.data.volumes.steps.options import ResamplingOptions
from medvid.data.volumes.steps.resampling import axis_apart, resample_image, resample_labels, resampled_shape
from medvid.data.volumes.steps.scan import Scan
from medvid.data.volumes.values import resampled as resample_values

_AIR = -1  # among labels, where it competes with them for voxels


def count_voxels(scan: Scan, spacing: Sequence[float]) -> float:
    """Number of voxels that a scan would have at another voxel size."""
    return float(np.prod(np.multiply(scan.shape, voxel_sizes(scan.affine)) / spacing))


def resample_linearly(scan: Scan, spacing: Sequence[float]) -> Scan:
    """Resample with MONAI, which keeps the place of the first voxel; labels take the nearest voxel's.

    Args:
        scan: before it has content.
        spacing: new voxel size along R, A, S, in mm.
    """
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    def resampled(channels: np.ndarray, mode: str) -> Any:
        values = torch.from_numpy(channels.astype(np.float32, copy=False))
        return Spacing(spacing, mode=mode)(MetaTensor(values, affine=torch.from_numpy(scan.affine)))

    image = resampled(scan.image, "bilinear")
    label = scan.label
    if label is not None and scan.ids is None:
        label = resample_values(label, lambda numbers: resampled(numbers, "bilinear").numpy())
    elif label is not None:
        numbers, values = _numbered(label)
        label = values[resampled(numbers[None], "nearest")[0].numpy().astype(np.intp)]
    return Scan(image.numpy(), image.affine.numpy().copy(), label)


def resample_extent(scan: Scan, spacing: Sequence[float], how: ResamplingOptions) -> Scan:
    """Resample as nnU-Net, to whole voxels over the same extent, so that their size is only close to the given one.

    Args:
        scan: with content; what is neither content nor labelled competes with the labels for voxels.
        spacing: new voxel size along R, A, S, in mm.
        how: the interpolation.
    """
    assert scan.content is not None
    old = voxel_sizes(scan.affine)
    shape, apart = resampled_shape(scan.shape, old, spacing), axis_apart(old, spacing, how.separate_z)
    image = resample_image(scan.image, shape, how.image.order, how.image.order_z, apart)
    numbers, values = _numbered(np.zeros(scan.shape, np.uint8) if scan.ids is None else scan.ids)
    labels = numbers.astype(np.int16)
    labels[~scan.content & (labels == 0)] = _AIR
    labels = resample_labels(labels, shape, how.label.order, how.label.order_z, apart)
    step = np.divide(scan.shape, shape)
    affine = scan.affine @ nib.affines.from_matvec(np.diag(step), (step - 1) / 2)
    found = scan.label
    if found is not None and scan.ids is None:
        found = resample_values(found, lambda numbers: resample_image(numbers, shape, 1, how.label.order_z, apart))
    elif found is not None:
        found = values[labels.clip(0)]
    return Scan(image, affine, found, labels != _AIR)


def _numbered(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A label map by number of its values, 0 first, as bits of many structures are too large to compute with.

    Returns:
        Numbers (*S), and the value of each.
    """
    if label.dtype == np.uint8:
        return label, np.arange(256, dtype=np.uint8)
    values = np.union1d(label, label.dtype.type(0))
    return np.searchsorted(values, label), values


def nearest_axes(spacing: Sequence[float], native: Sequence[float], how: ResamplingOptions) -> tuple[int, ...]:
    """The prepared axes along which scores take the nearest voxel on their way back, see `Grid.nearest_axes`.

    Args:
        spacing: voxel size that volumes are resampled to.
        native: voxel size of the file, along the prepared axes.
        how: the interpolation.
    """
    apart = axis_apart(spacing, native, how.separate_z)
    orders = [how.scores.order_z if axis == apart else how.scores.order for axis in range(len(spacing))]
    return tuple(axis for axis, order in enumerate(orders) if order == 0)
