"""Masks (*S): surfaces, volumes and centre lines, by the conventions of the libraries that are named."""

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics import centre_line, masks, surface_means, surfels, volume
from medvid.evaluation.metrics.components import count


def masks_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth."""
    return case["prediction"] > 0, case["truth"] > 0


def counts(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Voxels [in the truth, in the prediction]."""
    return masks.confusion_matrix(prediction.astype(int), truth.astype(int), 2)


def border_distances(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> surface_means.Distances:
    """Those of border voxels, in mm."""
    predicted, true = (masks.surface_points(mask.astype(np.uint8), 2, spacing)[0] for mask in (prediction, truth))
    return masks.surface_distances(predicted, true)


def dice(case: Case) -> float:
    return float(masks.dice(counts(*masks_of(case)))[1])


def _iou(case: Case) -> float:
    found = counts(*masks_of(case))
    return found[1, 1] / size if (size := found.sum() - found[0, 0]) else math.nan


def _volumes(case: Case) -> tuple[float, float]:
    predicted, true = (volume.millilitres(mask, case.spacing) for mask in masks_of(case))
    return predicted, true


def _surfels(case: Case) -> surfels.Surfaces:
    return surfels.surfel_distances(*masks_of(case), case.spacing)


def _borders(case: Case) -> surface_means.Distances:
    return border_distances(*masks_of(case), case.spacing)


def _monai(case: Case, figure: Callable[[surface_means.Distances], float]) -> float:
    """It is infinite where one of the masks is empty."""
    prediction, truth = masks_of(case)
    return math.inf if prediction.any() != truth.any() else figure(_borders(case))


def _dice_where_empty(case: Case, both: float) -> float:
    prediction, truth = masks_of(case)
    return dice(case) if prediction.any() or truth.any() else both


def _mean_back(case: Case) -> list[float]:
    """Of DeepMind's, in its order."""
    predicted, true = _surfels(case)
    return [true.mean(), predicted.mean()]


def _overlaps(case: Case, tolerance: str) -> list[float]:
    predicted, true = _surfels(case)
    return [true.overlap(float(tolerance)), predicted.overlap(float(tolerance))]


VOLUMES: Rules = {
    r"voxels_truth": lambda c, _: int(masks_of(c)[1].sum()),
    r"voxels_prediction": lambda c, _: int(masks_of(c)[0].sum()),
    r"dice": lambda c, _: dice(c),
    r"iou": lambda c, _: _iou(c),
    r"volume_ml > truth": lambda c, _: _volumes(c)[1],
    r"volume_ml > prediction": lambda c, _: _volumes(c)[0],
    r"volume_ml > absolute_difference": lambda c, _: abs(volume.volume_error(*_volumes(c))),
    r"volume_ml > signed_relative .*|medpy > ravd": lambda c, _: volume.relative_volume_error(*_volumes(c)),
    r"volume_ml > absolute_relative": lambda c, _: abs(volume.relative_volume_error(*_volumes(c))),
    r"volume_ml > volumetric_similarity .*": lambda c, _: volume.volumetric_similarity(*_volumes(c)),
}
SURFACES: Rules = VOLUMES | {
    r"deepmind > average_surface_distance .*": lambda c, _: _mean_back(c),
    r"deepmind > hausdorff_(\d+)": lambda c, m: surfels.hausdorff(_surfels(c), float(m[1])),
    r"deepmind > surface_overlap@([\d.]+)": lambda c, m: _overlaps(c, m[1]),
    r"(?:deepmind > surface_dice|monai > surface_dice_subvoxel)@([\d.]+)": lambda c, m: surfels.surface_dice(
        _surfels(c), float(m[1])
    ),
    r"(?:monai|border_voxels) > surface_dice@([\d.]+)": lambda c, m: masks.surface_dice(_borders(c), float(m[1])),
    r"monai > hausdorff": lambda c, _: _monai(c, surface_means.hausdorff),
    r"monai > average_surface_distance prediction to truth": lambda c, _: _monai(
        c, lambda distances: surface_means.mean_distance(distances[0])
    ),
    r"monai > average_surface_distance symmetric": lambda c, _: _monai(c, surface_means.assd),
    r"monai > hausdorff_95|border_voxels > hausdorff_95 \(larger.*": lambda c, _: masks.hd95(_borders(c)),
    r"monai > dice": lambda c, _: dice(c) if masks_of(c)[1].any() else math.nan,
    r"monai > dice ignore_empty=False|medpy > dc": lambda c, _: _dice_where_empty(c, 1.0),
    r"medpy > hd": lambda c, _: surface_means.hausdorff(_borders(c)),
    r"medpy > hd95|border_voxels > hausdorff_95 \(95th.*": lambda c, _: surface_means.pooled_hd95(_borders(c)),
    r"medpy > asd": lambda c, _: _finite(surface_means.mean_distance(_borders(c)[0])),
    r"medpy > assd|border_voxels > assd .*": lambda c, _: surface_means.assd(_borders(c)),
    r"border_voxels > masd .*": lambda c, _: surface_means.masd(_borders(c)),
}


def _finite(value: float) -> float:
    """Not what medpy raises on."""
    return value if math.isfinite(value) else math.nan


def _centre_lines(case: Case) -> centre_line.CentreLineScores:
    lines = case["skeleton_prediction"] > 0, case["skeleton_truth"] > 0
    return centre_line.score_centre_lines(*masks_of(case), *lines)


def _soft(case: Case, match: re.Match[str]) -> float:
    probability = case["probability"].astype(np.float64)
    return 1 - centre_line.soft_cldice(probability, case["truth"], int(match[1]), float(match[2]))


CENTRE_LINES: Rules = {
    r"topology_precision .*": lambda c, _: _centre_lines(c).precision,
    r"topology_sensitivity .*": lambda c, _: _centre_lines(c).sensitivity,
    r"cldice": lambda c, _: _centre_lines(c).cldice,
}
SOFT_CENTRE_LINES: Rules = {
    r"monai SoftclDiceLoss iter (\d+) smooth ([\d.e-]+)": _soft,
    r"soft_skeleton_sum_(truth|probability) iter (\d+)": lambda c, m: centre_line.soft_skeleton(
        c[m[1]].astype(np.float64), int(m[2])
    ).sum(),
}
_TOUCHING: Mapping[str, int] = {"4": 1, "8": 2, "6": 1, "18": 2, "26": 3}
COMPONENTS: Rules = {r"connectivity_(\d+)": lambda c, m: count(c["mask"] > 0, _TOUCHING[m[1]])}
