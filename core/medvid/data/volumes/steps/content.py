"""Which part of a volume has content."""

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]


def nonzero_mask(image: np.ndarray) -> np.ndarray:
    """The voxels (*S) that are not 0 in any channel (C, *S), and what they enclose; neighbours share a face."""
    mask = np.any(image != 0, axis=0)
    return mask if mask.all() else _fill_holes(mask)


def bounding_box(mask: np.ndarray) -> Box:
    """The smallest box that has all of a mask, which must not be empty."""
    axes = range(mask.ndim)
    spans = (np.flatnonzero(mask.any(tuple(other for other in axes if other != axis))) for axis in axes)
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    """As scipy's `binary_fill_holes`, which is slow: without what is reached from a face of the volume."""
    parts, _ = ndimage.label(~mask)
    faces = [parts.take(end, axis) for axis in range(mask.ndim) for end in (0, -1)]
    outside = np.zeros(int(parts.max()) + 1, bool)
    for face in faces:
        outside[face.ravel()] = True
    outside[0] = False
    return np.asarray(~outside[parts])
