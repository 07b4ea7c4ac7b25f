"""Overlap and surface metrics of label maps.

Libraries differ by more than a millimetre in what they call HD95 on the same masks, so the definitions are fixed here
and travel with the figures. Where a label is empty, the published scoring codes differ too (see their protocols); ours:

=====================  =====  =======  ============
empty in               Dice   HD95     surface Dice
=====================  =====  =======  ============
truth and prediction   NaN    NaN      NaN
one of the two         0      NaN      0
=====================  =====  =======  ============

NaN is left out of means, and counted.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

HD95_DEFINITION = (
    "HD95 is the larger of the two directed 95th percentiles of the distances between surface voxels, as in MONAI; "
    "a surface voxel touches a voxel outside of the label by a face"
)
SURFACE_DICE_DEFINITION = (
    "surface Dice is the fraction of the surface voxels of both masks that lie within the tolerance of the other "
    "surface, as in MONAI (each voxel counts once, without DeepMind's sub-voxel area weights)"
)


def confusion_matrix(
    prediction: np.ndarray, truth: np.ndarray, labels: int, unknown: np.ndarray | None = None
) -> np.ndarray:
    """Count the voxels of each pair of labels.

    Args:
        prediction: label ids below ``labels``.
        truth: label ids of the same shape.
        labels: number of labels, background included.
        unknown: voxels that do not count, if there may be any.

    Returns:
        (labels, labels) int64, indexed [true label, predicted label].
    """
    if unknown is not None:
        prediction, truth = (label_map[~unknown][None] for label_map in (prediction, truth))
    counts = np.zeros(labels * labels, dtype=np.int64)
    # Plane by plane: bincount widens its input to 8 bytes per voxel.
    for predicted, true in zip(prediction, truth, strict=True):
        counts += np.bincount((true.astype(np.intp) * labels + predicted).ravel(), minlength=labels * labels)
    return counts.reshape(labels, labels)


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice per label, 2 |P and T| / (|P| + |T|); NaN for a label that neither mask has."""
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    scores = np.full(len(sizes), np.nan)
    np.divide(2.0 * confusion.diagonal(), sizes, out=scores, where=sizes > 0)
    return scores


def surface_points(
    label_map: np.ndarray, labels: int, spacing: Sequence[float], unknown: np.ndarray | None = None
) -> list[np.ndarray]:
    """Find the surface voxels of each foreground label: the voxels that a 6-neighbour erosion (4 in 2D) removes.

    Voxels on the border of the array belong to the surface, as there is nothing behind them.

    Args:
        label_map: label ids.
        labels: number of labels, background included.
        spacing: voxel size on each axis, in mm.
        unknown: voxels that belong to no surface, and behind which none is seen, if there may be any.

    Returns:
        For label ids 1, 2, ... the positions (N, axes) in mm; N = 0 where the label does not occur.
    """
    if unknown is not None:
        label_map = np.where(unknown, 0, label_map)
    boxes = ndimage.find_objects(label_map, max_label=labels - 1)
    return [_surface(label_map, label, box, spacing, unknown) for label, box in enumerate(boxes, start=1)]


def _surface(
    label_map: np.ndarray,
    label: int,
    box: tuple[slice, ...] | None,
    spacing: Sequence[float],
    unknown: np.ndarray | None,
) -> np.ndarray:
    if box is None:
        return np.empty((0, label_map.ndim))
    if unknown is not None:
        box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)  # what is around it may be unknown
    mask = label_map[box] == label
    solid = mask if unknown is None else mask | unknown[box]
    voxels = np.argwhere(mask & ~ndimage.binary_erosion(solid)) + [side.start for side in box]
    return np.asarray(voxels * np.asarray(spacing), dtype=np.float64)


def surface_distances(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances of each surface's points to the other surface.

    A tree of the points is exact, as a distance transform is, but its cost does not grow with the box that encloses
    both surfaces: one stray voxel far from the organ costs nothing.

    Args:
        predicted: surface points (N, axes) in mm.
        true: surface points (M, axes) in mm.

    Returns:
        (N,) from predicted to true and (M,) back, in mm; infinite where the other surface is empty.
    """
    return _nearest(predicted, true), _nearest(true, predicted)


def _nearest(points: np.ndarray, surface: np.ndarray) -> np.ndarray:
    if not len(surface):
        return np.full(len(points), np.inf)
    distances: np.ndarray = KDTree(surface).query(points)[0]
    return distances


def hd95(distances: tuple[np.ndarray, np.ndarray]) -> float:
    """The 95 % Hausdorff distance, in mm (see `HD95_DEFINITION`); NaN if a surface is empty."""
    if not all(len(directed) for directed in distances):
        return float("nan")
    return float(max(np.percentile(directed, 95) for directed in distances))


def surface_dice(distances: tuple[np.ndarray, np.ndarray], tolerance: float) -> float:
    """Normalised surface distance at a tolerance in mm (see `SURFACE_DICE_DEFINITION`); NaN if both are empty.

    Nikolov et al., Journal of Medical Internet Research 2021, with surface elements counted instead of weighted.
    """
    both = np.concatenate(distances)
    if not len(both):
        return float("nan")
    # Multiples of the spacing that equal the tolerance must not fall out by the rounding of a file's affine.
    return float(np.mean(both <= tolerance * (1 + 1e-5)))
