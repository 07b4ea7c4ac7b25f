"""Means and percentiles of the distances between surface voxels, beside those of `medvid.evaluation.metrics.masks`.

All take the distances (N,) from prediction to truth and (M,) back, in mm. Where one of the surfaces is empty, nothing
is defined: NaN.
"""

import math

import numpy as np

Distances = tuple[np.ndarray, np.ndarray]

ASSD_DEFINITION = (
    "ASSD is the mean of the distances of all surface voxels of both masks to the other surface, as in MONAI and medpy"
)
MASD_DEFINITION = "MASD is the mean of the two directed mean distances between surface voxels"


def _defined(distances: Distances) -> bool:
    return all(len(directed) for directed in distances)


def mean_distance(directed: np.ndarray) -> float:
    """Mean of the distances of one surface; infinite if the other one is empty, NaN if there is none."""
    return float(directed.mean()) if len(directed) else math.nan


def assd(distances: Distances) -> float:
    """Average symmetric surface distance, see `ASSD_DEFINITION`."""
    return mean_distance(np.concatenate(distances)) if _defined(distances) else math.nan


def masd(distances: Distances) -> float:
    """Mean average surface distance, see `MASD_DEFINITION`."""
    return sum(map(mean_distance, distances)) / 2 if _defined(distances) else math.nan


def hausdorff(distances: Distances) -> float:
    """The largest distance of both directions."""
    return float(np.concatenate(distances).max()) if _defined(distances) else math.nan


def pooled_hd95(distances: Distances) -> float:
    """The 95th percentile of the distances of both directions taken together, as in medpy."""
    return float(np.percentile(np.concatenate(distances), 95)) if _defined(distances) else math.nan
