"""Scoring as MedT's authors score: Medical-Transformer, test.py and its MATLAB script."""

from typing import get_args

import numpy as np
import torch
from torch import Tensor

from medvid.evaluation.metrics import masks
from medvid.evaluation.metrics.aggregate import State
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.protocols import DICE, LabelMapProtocol, Overlap
from medvid.plugin.info import TargetInfo
from medvid_medt.config import MedTProtocolOptions


def dice(confusion: np.ndarray) -> np.ndarray:
    """F1 per label, which is Dice: 1 where no pixel is right, however many are wrong."""
    return np.where(confusion.diagonal() > 0, masks.dice(confusion), 1.0)


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union per label, 1 where `dice` is."""
    scores = dice(confusion)
    return np.asarray(scores / (2 - scores))


def thresholded(scores: Tensor) -> Tensor:
    """Label 1 where its logit is at least 0.5, whatever that of the background is."""
    return (scores[1] >= 0.5).to(torch.uint8)


def medt_protocol(options: MedTProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001 (the same for all)
    """Scored at the size the model is fed."""
    return LabelMapProtocol(
        grid="prepared",
        decide=thresholded,
        overlap=(Overlap(DICE.figure, dice), Overlap(Figure("iou", "IoU", better="higher"), iou)),
        empty=dict.fromkeys(get_args(State), "Dice 1, IoU 1"),
        definition="scored at the size the model is fed; a pixel is foreground if its foreground logit is 0.5 or more, "
        "and an image without a correct foreground pixel has Dice 1 and IoU 1 (protocol medt); Dice is called F1 there",
    )
