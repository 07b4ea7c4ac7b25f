"""Figures of instances: objects of one kind that are told apart, such as nuclei.

Where neither truth nor prediction has an object, nothing is defined: NaN. The segmentation quality has no value where
no object is matched.
"""

import math
from dataclasses import dataclass

import numpy as np

PQ_DEFINITION = (
    "panoptic quality is the mean IoU of matched objects (segmentation quality, SQ) times tp / (tp + fp/2 + fn/2) "
    "(recognition quality, RQ); objects match where their IoU is above 0.5 (Kirillov et al., CVPR 2019)"
)
AJI_DEFINITION = (
    "AJI is the aggregated Jaccard index: the intersections of all true objects with the predicted one of the best IoU "
    "over their unions and the voxels of predicted objects that were never the best (Kumar et al., TMI 2017)"
)
AP_DEFINITION = (
    "instance AP is tp / (tp + fp + fn) of objects that match where their IoU is above 0.5, as in the 2018 Data "
    "Science Bowl"
)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The objects of two masks, and how many voxels they share.

    Args:
        true: (N,) voxels of each true object.
        predicted: (M,) voxels of each predicted one.
        shared: (N, M) voxels of both.
    """

    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """(N, M) intersection over union."""
        return np.asarray(self.shared / (self.true[:, None] + self.predicted - self.shared))

    @property
    def dice(self) -> np.ndarray:
        """(N, M)."""
        return np.asarray(2 * self.shared / (self.true[:, None] + self.predicted))


def find_overlaps(prediction: np.ndarray, truth: np.ndarray) -> Overlaps:
    """Compare two maps (*S) in which every object has a number above 0 of its own."""
    (true_ids, true), (predicted_ids, predicted) = (
        np.unique(objects, return_inverse=True) for objects in (np.append(0, truth), np.append(0, prediction))
    )
    sizes = len(true_ids), len(predicted_ids)
    pairs = np.bincount(true.ravel() * sizes[1] + predicted.ravel(), minlength=math.prod(sizes)).reshape(sizes)
    return Overlaps(pairs.sum(axis=1)[1:], pairs.sum(axis=0)[1:], pairs[1:, 1:])


@dataclass(frozen=True, slots=True)
class Matches:
    """Which objects were found.

    Args:
        pairs: (tp, 2) indices of true and predicted objects.
        iou: (tp,) of each pair.
        false_positives: predicted objects without a true one.
        false_negatives: true objects without a predicted one.
    """

    pairs: np.ndarray
    iou: np.ndarray
    false_positives: int
    false_negatives: int

    @property
    def true_positives(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs; NaN without any."""
        return float(self.iou.mean()) if len(self.iou) else math.nan

    @property
    def recognition_quality(self) -> float:
        """The F1 of objects, tp / (tp + fp/2 + fn/2)."""
        return self._of_all(0.5)

    @property
    def panoptic_quality(self) -> float:
        """See `PQ_DEFINITION`; 0 where no object is matched."""
        return self.recognition_quality * (self.segmentation_quality if len(self.iou) else 1.0)

    @property
    def average_precision(self) -> float:
        """See `AP_DEFINITION`."""
        return self._of_all(1.0)

    def _of_all(self, weight: float) -> float:
        whole = self.true_positives + weight * (self.false_positives + self.false_negatives)
        return self.true_positives / whole if whole else math.nan


def match(overlaps: Overlaps, above: float = 0.5, *, inclusive: bool = False) -> Matches:
    """Match objects one to one, the highest IoU first; above 0.5 there is no choice.

    Args:
        overlaps: of all objects.
        above: the IoU that a pair has to exceed.
        inclusive: whether that IoU itself is enough, as in panoptica.
    """
    iou = overlaps.iou
    enough = (iou >= above) & (iou > 0) if inclusive else iou > above
    candidates = np.argwhere(enough)
    order = np.argsort(-iou[enough], kind="stable")
    taken: dict[int, int] = {}
    for true, predicted in candidates[order].tolist():
        if true not in taken and predicted not in taken.values():
            taken[true] = predicted
    pairs = np.array(list(taken.items()), np.intp).reshape(-1, 2)
    missed, wrong = (size - len(pairs) for size in iou.shape)
    return Matches(pairs, iou[pairs[:, 0], pairs[:, 1]], wrong, missed)


def aggregated_jaccard(overlaps: Overlaps) -> float:
    """See `AJI_DEFINITION`."""
    if not len(overlaps.true) or not len(overlaps.predicted):
        return math.nan if len(overlaps.true) == len(overlaps.predicted) else 0.0
    iou = overlaps.iou
    best, touched = iou.argmax(axis=1), iou.max(axis=1) > 0
    rows = np.flatnonzero(touched)
    shared = overlaps.shared[rows, best[rows]]
    union = overlaps.true.sum() + overlaps.predicted[best[rows]].sum() - shared.sum()
    unused = np.delete(overlaps.predicted, best[rows]).sum()
    return float(shared.sum() / (union + unused))
