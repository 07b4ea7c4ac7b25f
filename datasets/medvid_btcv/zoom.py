"""Resizing like scipy's `zoom`, on which TransUNet's published numbers rest: the outermost pixel centres stay.

`zoom` is linear and treats each axis separately, so it is a matrix that is computed once per length and then applied
by two multiplications, many times faster than `zoom` itself. Its rounding is reproduced: between some lengths, 512 and
224 among them, it takes the last pixel to lie outside and leaves it 0, in images and in label maps.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import ndimage

from medvid.data.grid import Grid

Size2D = tuple[int, int]
Zoom = Callable[[np.ndarray, Size2D], np.ndarray]


def zoom_image(image: np.ndarray, size: Size2D) -> np.ndarray:
    """Resize an image (H, W) by cubic splines, as `zoom` of order 3; float32."""
    rows, columns = (_spline_matrix(old, new) for old, new in zip(image.shape, size, strict=True))
    return rows @ image.astype(np.float32) @ columns.T


def zoom_labels(labels: np.ndarray, size: Size2D) -> np.ndarray:
    """Resize a label map (H, W) by nearest neighbours, as `zoom` of order 0."""
    nearest = np.ix_(*(_nearest(old, new) for old, new in zip(labels.shape, size, strict=True)))
    return np.pad(labels, (0, 1))[nearest]  # index -1 is background


def zoom_slices(volume: np.ndarray, size: Size2D, zoom: Zoom) -> np.ndarray:
    """Resize the slices of a volume (H, W, D) one by one."""
    return np.stack([zoom(volume[..., index], size) for index in range(volume.shape[2])], axis=2)


def zoom_grid(grid: Grid, size: Size2D) -> Grid:
    """The grid of a prepared array whose first two axes are resized to `size`."""
    ratios = [(new - 1) / max(old - 1, 1) for old, new in zip(grid.prepared_shape, size, strict=False)] + [1.0]
    return replace(
        grid,
        prepared_shape=(*size, *grid.prepared_shape[2:]),
        prepared_spacing=tuple(s / ratio for s, ratio in zip(grid.prepared_spacing, ratios, strict=True)),
        scale=tuple(s * ratio for s, ratio in zip(grid.scale, ratios, strict=True)),
        offset=tuple(o * ratio for o, ratio in zip(grid.offset, ratios, strict=True)),
    )


@cache
def _spline_matrix(old: int, new: int) -> np.ndarray:
    if old == new:
        return np.eye(old, dtype=np.float32)
    return ndimage.zoom(np.eye(old), (new / old, 1), order=3).astype(np.float32)


@cache
def _nearest(old: int, new: int) -> np.ndarray:
    return ndimage.zoom(np.arange(1, old + 1), new / old, order=0) - 1
