"""Lesions and instances in masks and maps (*S), as BraTS, ISLES, panoptica and publications score them."""

import math
import re

import numpy as np

from comparison.figures.cases import Case, Rules
from comparison.figures.voxels import border_distances, counts, masks_of
from medvid.evaluation.metrics import decisions, instances, lesions, masks, surface_means, surfels
from medvid.evaluation.metrics.components import components

REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}


def region(case: Case, match: re.Match[str]) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth of a region."""
    prediction, truth = (np.isin(case[name], REGIONS[match["region"]]) for name in ("prediction", "truth"))
    return prediction, truth


def _lesions(case: Case, match: re.Match[str]) -> lesions.LesionScores:
    return lesions.score_lesions(
        *region(case, match),
        case.spacing,
        dilation=case.expected["dilation"],
        least_volume=case.expected["volume_threshold_mm3"],
    )


def _listed(case: Case, match: re.Match[str]) -> list[list[float]]:
    return [[one.volume, one.dice, one.hd95, one.matched] for one in _lesions(case, match).lesions]


def _or_empty(case: Case, match: re.Match[str], value: float, both: float, one: float) -> float:
    """BraTS's figure of a whole region, where there may be nothing."""
    prediction, truth = (mask.any() for mask in region(case, match))
    if prediction and truth:
        return value
    return both if prediction == truth else one


def _whole_hd95(case: Case, match: re.Match[str]) -> float:
    hd95 = surfels.hausdorff(surfels.surfel_distances(*region(case, match), case.spacing))
    return _or_empty(case, match, hd95, 0.0, lesions.WORST_HD95)


def _recall(case: Case, match: re.Match[str]) -> list[float]:
    """Specificity and sensitivity."""
    found: list[float] = decisions.recall(counts(*region(case, match))).tolist()
    return found


_OF = r"regions > (?P<region>\w+) > "
BRATS: Rules = {
    _OF + r"lesions .*": _listed,
    _OF + r"kept_lesions": lambda c, m: len(_lesions(c, m).kept),
    _OF + r"fp": lambda c, m: _lesions(c, m).false_positives,
    _OF + r"fn": lambda c, m: _lesions(c, m).false_negatives,
    _OF + r"tp": lambda c, m: _lesions(c, m).true_positives,
    _OF + r"lesionwise_dice": lambda c, m: _lesions(c, m).dice,
    _OF + r"lesionwise_hd95": lambda c, m: _lesions(c, m).hd95,
    _OF + r"legacy_dice": lambda c, m: _or_empty(c, m, float(masks.dice(counts(*region(c, m)))[1]), 1.0, 0.0),
    _OF + r"legacy_hd95": _whole_hd95,
    _OF + r"sensitivity": lambda c, m: _or_empty(c, m, _recall(c, m)[1], 1.0, 0.0),
    _OF + r"specificity": lambda c, m: _recall(c, m)[0],
}


def _counted(case: Case, match: re.Match[str]) -> lesions.LesionCounts:
    prediction, truth = masks_of(case)
    emptied = match["emptied"] or ""
    if emptied.startswith(("both", "prediction")):
        prediction = np.zeros_like(prediction)
    if emptied.startswith(("both", "truth")):
        truth = np.zeros_like(truth)
    return lesions.count_lesions(prediction, truth)


_EMPTIED = r"(?:(?P<emptied>(?:both|truth|prediction)_empty) > )?"
ISLES: Rules = {
    _EMPTIED + r"lesions_truth": lambda c, m: _counted(c, m).true,
    _EMPTIED + r"lesions_prediction": lambda c, m: _counted(c, m).predicted,
    _EMPTIED + r"lesion_count_difference": lambda c, m: _counted(c, m).difference,
    _EMPTIED + r"tp": lambda c, m: _counted(c, m).true_positives,
    _EMPTIED + r"fp": lambda c, m: _counted(c, m).false_positives,
    _EMPTIED + r"fn": lambda c, m: _counted(c, m).false_negatives,
    _EMPTIED + r"lesion_f1 .*": lambda c, m: _counted(c, m).f1,
}


def _objects(case: Case, match: re.Match[str]) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth with their objects numbered, as the first key says."""
    name, empty = match["which"] or "", np.zeros_like(case["truth"])
    if "zeros" in case.arrays:
        return {
            "prediction_empty": (empty, case["truth"]),
            "truth_empty": (case["truth"], empty),
            "both_empty": (empty, empty),
        }[name.removeprefix("panoptica ").replace(" ", "_")]
    prediction, truth = case["prediction"], case["truth"]
    if truth.dtype != bool and "binary" not in name:
        return prediction, truth
    touching = 1 if truth.ndim == 2 else None  # in 2D panoptica sees 4 neighbours, in 3D 26
    return components(prediction > 0, touching), components(truth > 0, touching)


def _overlaps(case: Case, match: re.Match[str]) -> instances.Overlaps:
    return instances.find_overlaps(*_objects(case, match))


def _matches(case: Case, match: re.Match[str]) -> instances.Matches:
    name = match["which"]
    above = re.search(r"iou ([\d.]+)", name)
    inclusive = not name.startswith("own") and "_empty" not in name
    return instances.match(_overlaps(case, match), float(above[1]) if above else 0.5, inclusive=inclusive)


def _of_pairs(case: Case, match: re.Match[str], figure: str) -> list[float]:
    """The Dice or MASD (in voxels) of each matched pair, or its IoU."""
    found, overlaps = _matches(case, match), _overlaps(case, match)
    if figure == "iou":
        return found.iou.tolist()
    if figure == "dsc":
        return overlaps.dice[found.pairs[:, 0], found.pairs[:, 1]].tolist()
    prediction, truth = _objects(case, match)
    true_ids, predicted_ids = (np.unique(objects[objects > 0]) for objects in (truth, prediction))
    return [
        surface_means.masd(
            border_distances(prediction == predicted_ids[predicted], truth == true_ids[true], (1.0,) * truth.ndim)
        )
        for true, predicted in found.pairs.tolist()
    ]


def _quality(case: Case, match: re.Match[str]) -> float:
    """The mean over pairs. Without pairs panoptica has the worst, but where there are no objects at all."""
    values = _of_pairs(case, match, match["of"] or "iou")
    if values or not match["which"].startswith(("iou", "panoptica")) or not _any(case, match):
        return float(np.mean(values)) if values else math.nan
    return math.inf if match["of"] == "assd" else 0.0


def _any(case: Case, match: re.Match[str]) -> bool:
    return any(objects.any() for objects in _objects(case, match))


def _deviation(case: Case, match: re.Match[str]) -> float:
    values = _of_pairs(case, match, match["of"] or "iou")
    return float(np.std(values)) if values else math.nan


def _panoptic(case: Case, match: re.Match[str]) -> float:
    found = _matches(case, match)
    if match["of"] is None:
        return found.panoptic_quality
    return found.recognition_quality * _quality(case, match)


def _precision(case: Case, match: re.Match[str]) -> list[float]:
    """Precision and recall of objects."""
    found = _matches(case, match)
    sizes = len(_overlaps(case, match).predicted), len(_overlaps(case, match).true)
    return [found.true_positives / size if size else math.nan for size in sizes]


def _whole(case: Case, match: re.Match[str]) -> float:
    prediction, truth = _objects(case, match)
    return float(masks.dice(counts(prediction > 0, truth > 0))[1])


_SET = r"(?P<which>(?:own |panoptica )?iou [\d.]+|panoptica .*|(?:both|truth|prediction)_empty) > "
INSTANCES: Rules = {
    _SET + r"n_ref_instances": lambda c, m: len(_overlaps(c, m).true),
    _SET + r"n_pred_instances": lambda c, m: len(_overlaps(c, m).predicted),
    _SET + r"tp": lambda c, m: _matches(c, m).true_positives,
    _SET + r"fp": lambda c, m: _matches(c, m).false_positives,
    _SET + r"fn": lambda c, m: _matches(c, m).false_negatives,
    _SET + r"prec": lambda c, m: _precision(c, m)[0],
    _SET + r"rec": lambda c, m: _precision(c, m)[1],
    _SET + r"rq": lambda c, m: _matches(c, m).recognition_quality,
    _SET + r"sq(?:_(?P<of>dsc|assd))?": _quality,
    _SET + r"sq(?:_(?P<of>dsc|assd))?_std": _deviation,
    _SET + r"pq(?:_(?P<of>dsc))?": _panoptic,
    _SET + r"ap .*": lambda c, m: _matches(c, m).average_precision,
    rf"(?:{_SET}|)aji": lambda c, m: instances.aggregated_jaccard(_overlaps(c, m)),
    _SET + r"global_bin_dsc": _whole,
}
