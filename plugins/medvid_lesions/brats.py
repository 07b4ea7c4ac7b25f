"""Scoring as BraTS does since 2023: each region as a whole, and lesion by lesion."""

import math

import numpy as np

from medvid.evaluation.mask_figures import MaskFigures, Masks
from medvid.evaluation.metrics import masks
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.lesions import WORST_HD95, score_lesions
from medvid.evaluation.metrics.surfels import HD95_DEFINITION, hausdorff, surfel_distances
from medvid.evaluation.protocols import DICE, LabelMapProtocol, Overlap
from medvid.evaluation.restore import best_label, likely_labels
from medvid.plugin.info import TargetInfo
from medvid_lesions.config import BratsProtocolOptions


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice per label: 1 for one that is neither in the truth nor predicted."""
    return np.nan_to_num(masks.dice(confusion), nan=1.0)


def hd95(region: Masks) -> float:
    """By surfels: 0 if both masks are empty, `WORST_HD95` if one is."""
    if not region.truth.any() and not region.prediction.any():
        return 0.0
    found = hausdorff(surfel_distances(region.prediction, region.truth, region.spacing, region.unknown))
    return found if math.isfinite(found) else WORST_HD95


def brats_protocol(options: BratsProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:
    """Scored on the grid of the files, with nothing undefined."""

    def by_lesion(region: Masks) -> dict[str, float]:
        found = score_lesions(
            region.prediction,
            region.truth,
            region.spacing,
            dilation=options.dilation,
            least_volume=options.least_volume,
            unknown=region.unknown,
        )
        return {
            "hd95": hd95(region),
            "lesion_dice": found.dice,
            "lesion_hd95": found.hd95,
            "lesions_found": found.true_positives,
            "lesions_missed": found.false_negatives,
            "lesions_false": found.false_positives,
        }

    definition = (
        "lesion-wise figures are means over lesions (connected components; those that meet once the truth is dilated "
        f"by {options.dilation} are one) of more than {options.least_volume:g} mm^3 and over predicted components that "
        f"touch none, which have Dice 0 and HD95 {WORST_HD95:g}; without either Dice is 1 and HD95 0"
    )
    return LabelMapProtocol(
        grid="native",
        decide=best_label if target_info.what == "class" else likely_labels,
        overlap=(Overlap(DICE.figure, dice),),
        further=(
            MaskFigures(
                by_lesion,
                (
                    Figure("lesion_dice", "lesion-wise Dice", definition=definition, better="higher"),
                    Figure("lesions_found", "found", 1),
                    Figure("lesions_missed", "missed", 1, better="lower"),
                    Figure("lesions_false", "false", 1, better="lower"),
                ),
                (
                    Figure("hd95", "HD95", 2, HD95_DEFINITION, better="lower"),
                    Figure("lesion_hd95", "lesion-wise HD95", 2, better="lower"),
                ),
            ),
        ),
        regions=options.regions if target_info.what == "class" else {},
        empty={
            "absent": "Dice 1, HD95 0",
            "missed": f"Dice 0, HD95 {WORST_HD95:g}",
            "false positive": f"Dice 0, HD95 {WORST_HD95:g}",
        },
        definition="regions are scored on the grid of the files (protocol brats)",
    )
