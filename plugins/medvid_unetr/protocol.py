"""Scoring as the UNETR authors score: research-contributions, UNETR/BTCV/test.py and utils/utils.py, dice().

It leaves no Dice undefined, so the mean over organs and then cases that the script takes equals ours over cases and
then organs.
"""

import numpy as np

from medvid.evaluation.metrics import masks
from medvid.evaluation.protocols import DICE, HD95, UNDEFINED, LabelMapProtocol, Overlap, surface_dice
from medvid.plugin.info import TargetInfo
from medvid_unetr.config import UnetrProtocolOptions


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice per label: 0 for a label that the truth does not have."""
    return np.where(confusion.sum(axis=1) > 0, masks.dice(confusion), 0.0)


def unetr_protocol(options: UnetrProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001 (the same for all)
    """Scored on the prepared grid."""
    return LabelMapProtocol(
        grid="prepared",
        overlap=(Overlap(DICE.figure, dice),),
        validation=dice,
        surfaces=(HD95, surface_dice(options.tolerance)),
        empty={"absent": "Dice 0, HD95 undefined", **UNDEFINED},
        definition="scored on the prepared grid; a label that the truth does not have has Dice 0 (protocol unetr)",
    )
