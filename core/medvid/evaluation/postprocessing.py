"""Post-processing of label maps: keep the largest component, of all labels together or of single ones.

Which of that helps is chosen as nnU-Net does (Isensee et al., Nature Methods 2021, "empirical parameters").
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from medvid.config.evaluation import ALL
from medvid.evaluation.metrics.components import bounding_box, components
from medvid.plugin.info import TargetInfo

Steps = tuple[str, ...]
"""What is done, in this order: `ALL`, or the name of a label."""
Dice = Mapping[str, float]
"""Mean Dice over cases, by label; NaN where it is defined in none."""


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest component of a mask, or all that are as large.

    Voxels with a corner in common are connected, in images pixels.

    Args:
        mask: (*S) bool.
    """
    box = bounding_box(mask)
    numbers = components(mask[box])
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    kept = np.zeros_like(mask)
    kept[box] = (sizes == sizes.max())[numbers] & mask[box]
    return kept


def keep_largest(label_map: np.ndarray, ids: Collection[int]) -> np.ndarray:
    """The label map with some labels in the largest component of their union only; elsewhere they are background.

    Args:
        label_map: ids (*S).
        ids: the labels, without the background.
    """
    mask = np.isin(label_map, list(ids))
    return np.where(mask & ~largest_component(mask), 0, label_map).astype(label_map.dtype)


class LargestComponents:
    """Keeps the largest components in predictions, one step after the other.

    Of labels that may overlap, a step takes away those labels alone which it is of.

    Args:
        steps: what is done.
        target_info: what is predicted.
    """

    def __init__(self, steps: Steps, target_info: TargetInfo) -> None:
        names = target_info.names
        self._overlapping = target_info.what == "labels"
        foreground = range(0 if self._overlapping else 1, len(names))
        self.steps = [foreground if step == ALL else (names.index(step),) for step in steps]

    def __call__(self, prediction: np.ndarray) -> np.ndarray:
        """A prediction: ids (*S), or 0 and 1 (L, *S) of labels that may overlap; it is not modified."""
        for ids in self.steps:
            if self._overlapping:
                chosen, prediction = list(ids), prediction.copy()
                prediction[chosen] *= largest_component(np.logical_or.reduce(prediction[chosen]))
            else:
                prediction = keep_largest(prediction, ids)
        return prediction


def choose_steps(labels: Sequence[str], dice: Callable[[Steps], Dice]) -> Steps:
    """Which steps raise Dice.

    First all labels together: taken if the mean over labels rises and no label falls. Then, of several labels, one
    after the other on what there is: each is taken if its own Dice rises. As in nnU-Net a label without any Dice leaves
    the mean undefined, so that nothing is gained by leaving no prediction of it at all.

    Args:
        labels: names, without the background.
        dice: of the predictions after some steps.
    """
    taken: Steps = ()
    before, after = dice(()), dice((ALL,))
    if _mean(after) > _mean(before) and not any(after[label] < before[label] for label in labels):
        taken = (ALL,)
    for label in labels if len(labels) > 1 else ():
        if dice((*taken, label))[label] > dice(taken)[label]:
            taken = (*taken, label)
    return taken


def _mean(dice: Dice) -> float:
    return math.fsum(dice.values()) / len(dice)
