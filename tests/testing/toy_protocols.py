"""Protocols that keep to the contract, and that break one promise each."""

from dataclasses import replace
from typing import Any

import numpy as np

from medvid.config.options import ProtocolOptions
from medvid.evaluation.metrics import masks
from medvid.evaluation.protocols import DICE, LabelMapProtocol, Overlap
from medvid.evaluation.restore import NativeLabels
from medvid.plugin.info import TargetInfo


def good(options: ProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001
    return LabelMapProtocol(grid="native", overlap=(DICE,), empty={}, definition="on the grid of the files")


def halves(options: ProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:
    """Its Dice lacks the factor 2."""

    def dice(confusion: np.ndarray) -> np.ndarray:
        return masks.dice(confusion) / 2

    return replace(good(options, target_info), overlap=(Overlap(DICE.figure, dice),))


def grim(options: ProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:
    """Its label maps do not come back to the grid of the file."""

    class Fails(NativeLabels):
        def labels(self) -> Any:
            raise RuntimeError("medpy is missing")

    return replace(good(options, target_info), restore=Fails)
