"""Scoring as TransUNet's authors score: utils.py, test_single_volume() and calculate_metric_percase()."""

import numpy as np

from medvid.config.options import ProtocolOptions
from medvid.evaluation.metrics import masks
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.protocols import DICE, Distances, LabelMapProtocol, Overlap, Surface
from medvid.evaluation.restore import NearestLabels
from medvid.plugin.info import TargetInfo

HD95_DEFINITION = (
    "HD95 is the 95th percentile of the distances between surface voxels of both directions taken together, as in "
    "medpy; in voxels, whatever their spacing"
)


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice per label: 1 for a label that only the prediction has.

    And 0 for one that the prediction does not have, even if the truth does not have it either.
    """
    true, predicted = confusion.sum(axis=1) > 0, confusion.sum(axis=0) > 0
    return np.select([true & predicted, predicted], [masks.dice(confusion), 1.0], 0.0)


def hd95(distances: Distances) -> float:
    """The 95 % Hausdorff distance of medpy (see `HD95_DEFINITION`), and TransUNet's 0 if a surface is empty."""
    if not all(len(directed) for directed in distances):
        return 0.0
    return float(np.percentile(np.concatenate(distances), 95))


def transunet_protocol(options: ProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001 (the same for all)
    """Scored on the grid of the files, to which labels are enlarged as scipy's `zoom` of order 0 does."""
    return LabelMapProtocol(
        grid="native",
        restore=NearestLabels,
        overlap=(Overlap(DICE.figure, dice),),
        surfaces=(Surface(Figure("hd95", "HD95", 2, HD95_DEFINITION, better="lower"), hd95, is_length=True),),
        in_voxels=True,
        empty={"absent": "Dice 0, HD95 0", "missed": "Dice 0, HD95 0", "false positive": "Dice 1, HD95 0"},
        definition="label maps of the model's size are enlarged by nearest neighbour to the grid of the files and "
        "scored there (protocol transunet)",
    )
