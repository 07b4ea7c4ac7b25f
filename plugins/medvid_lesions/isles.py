"""Scoring as ISLES 2022 does (github.com/ezequieldlrosa/isles22)."""

import numpy as np

from medvid.evaluation.mask_figures import MaskFigures, Masks
from medvid.evaluation.metrics import masks
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.lesions import F1_DEFINITION, count_lesions
from medvid.evaluation.metrics.volume import millilitres
from medvid.evaluation.protocols import DICE, LabelMapProtocol, Overlap
from medvid.evaluation.restore import best_label, likely_labels
from medvid.plugin.info import TargetInfo
from medvid_lesions.config import IslesProtocolOptions


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice per label: 1 for one that is neither in the truth nor predicted."""
    return np.nan_to_num(masks.dice(confusion), nan=1.0)


def _figures(label: Masks) -> dict[str, float]:
    found = count_lesions(label.prediction, label.truth)
    predicted, true = (millilitres(mask, label.spacing) for mask in (label.prediction, label.truth))
    volume = {"volume_difference_ml": abs(predicted - true)} if label.unit == "mm" else {}
    return {**volume, "lesion_count_difference": found.difference, "lesion_f1": found.f1}


FIGURES = MaskFigures(
    _figures,
    (
        Figure("volume_difference_ml", "volume difference (ml)", 2, better="lower"),
        Figure("lesion_count_difference", "count difference", 1, better="lower"),
        Figure("lesion_f1", "lesion F1", definition=F1_DEFINITION, better="higher"),
    ),
)


def isles_protocol(options: IslesProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001 (it has none)
    """Scored on the grid of the files, with nothing undefined."""
    return LabelMapProtocol(
        grid="native",
        decide=best_label if target_info.what == "class" else likely_labels,
        overlap=(Overlap(DICE.figure, dice),),
        further=(FIGURES,),
        empty={"absent": "Dice 1, lesion F1 1", "missed": "Dice 0", "false positive": "Dice 0"},
        definition="scored on the grid of the files; differences of volumes and of numbers of lesions have no sign "
        "(protocol isles)",
    )
