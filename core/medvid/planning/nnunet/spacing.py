"""Which voxel spacing all cases are brought to, and which axis comes first."""

from collections.abc import Sequence

import numpy as np

_ANISOTROPY = 3
"""Times by which an axis has to be coarser, and shorter, than the others to be called anisotropic."""


def target_spacing(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]]) -> np.ndarray:
    """The median of each axis; of a coarse axis with few slices the 10th percentile, as little is lost in it by that.

    Args:
        spacings: of the cases, mm.
        shapes: of the cases, voxels.

    Returns:
        mm per axis, not rounded.
    """
    target: np.ndarray = np.percentile(np.asarray(spacings, dtype=float), 50, 0)
    size = np.percentile(np.asarray(shapes, dtype=float), 50, 0)
    coarsest = int(np.argmax(target))
    others = [axis for axis in range(len(target)) if axis != coarsest]
    largest = max(target[others])
    if target[coarsest] > _ANISOTROPY * largest and size[coarsest] * _ANISOTROPY < min(size[others]):
        finer = np.percentile([spacing[coarsest] for spacing in spacings], 10)
        target[coarsest] = finer if finer >= largest else largest + 1e-5
    return target


def axis_order(spacing: Sequence[float] | np.ndarray) -> tuple[list[int], list[int]]:
    """The order with the coarsest axis in front and the others as they are, and its inverse."""
    coarsest = int(np.argmax(spacing))
    forward = [coarsest, *(axis for axis in range(len(spacing)) if axis != coarsest)]
    return forward, [forward.index(axis) for axis in range(len(spacing))]


def resampled_shape(
    shape: Sequence[float] | np.ndarray, spacing: Sequence[float] | np.ndarray, target: Sequence[float] | np.ndarray
) -> list[int]:
    """Voxels of a case at another spacing, half to even."""
    return [round(i / j * k) for i, j, k in zip(spacing, target, shape, strict=True)]
