"""Figures of lesions: each true one is found or not, whatever the size of the others.

Lesions are connected components; voxels with a corner in common belong to one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medvid.evaluation.metrics.components import bounding_box, components, enclosing, neighbourhood
from medvid.evaluation.metrics.surfels import hausdorff, surfel_distances

WORST_HD95 = 374.0
"""What BraTS gives for an HD95 that is not defined, in mm: the diagonal of its volumes of 240 x 240 x 155."""
F1_DEFINITION = (
    "lesion F1 is 2 tp / (2 tp + fp + fn) of connected components: a true one with any predicted voxel is found, a "
    "predicted one without any true voxel is wrong; 1 where there are no lesions at all, as in ISLES 2022"
)


@dataclass(frozen=True, slots=True)
class Lesion:
    """A true lesion, against all predicted components that touch it or what it is dilated to.

    Args:
        volume: in mm^3.
        dice: of the two.
        hd95: by surfels, in mm; `WORST_HD95` where nothing is predicted.
        matched: number of those predicted components.
    """

    volume: float
    dice: float
    hd95: float
    matched: int


@dataclass(frozen=True, slots=True)
class LesionScores:
    """All lesions of a mask as BraTS scores them since 2023.

    Args:
        lesions: all true ones.
        kept: those that are larger than the least volume; the others are not asked for.
        false_positives: number of predicted components that belong to no lesion, of whatever size.
    """

    lesions: tuple[Lesion, ...]
    kept: tuple[Lesion, ...]
    false_positives: int

    @property
    def true_positives(self) -> int:
        """Number of lesions that were found."""
        return sum(lesion.matched > 0 for lesion in self.kept)

    @property
    def false_negatives(self) -> int:
        """Number of lesions that were not."""
        return len(self.kept) - self.true_positives

    @property
    def dice(self) -> float:
        """Mean over lesions and false positives, which have 0; 1 where there is neither."""
        return self._mean([lesion.dice for lesion in self.kept], worst=0.0, none=1.0)

    @property
    def hd95(self) -> float:
        """Mean over lesions and false positives, which have `WORST_HD95`, in mm; 0 where there is neither."""
        return self._mean([lesion.hd95 for lesion in self.kept], worst=WORST_HD95, none=0.0)

    def _mean(self, values: Sequence[float], *, worst: float, none: float) -> float:
        number = len(values) + self.false_positives
        return (math.fsum(values) + worst * self.false_positives) / number if number else none


def score_lesions(
    prediction: np.ndarray,
    truth: np.ndarray,
    spacing: Sequence[float],
    *,
    dilation: int,
    least_volume: float,
    unknown: np.ndarray | None = None,
) -> LesionScores:
    """Score lesion by lesion as BraTS 2023 does (github.com/rachitsaluja/BraTS-2023-Metrics).

    The truth is dilated; parts that become one are one lesion. To it belongs every predicted component that touches
    it, dilated; one predicted component may serve several lesions.

    Args:
        prediction: (*S) bool.
        truth: likewise.
        spacing: in mm.
        dilation: steps, each to the neighbours along an edge or a face.
        least_volume: in mm^3; lesions that are not larger are matched, and then left out.
        unknown: voxels next to which there is no surface, if there may be any.
    """
    box = bounding_box(prediction | truth, margin=dilation)
    prediction, truth = prediction[box], truth[box]
    numbers, predicted = components(_dilate(truth, dilation)), components(prediction)
    places, served, lesions = ndimage.find_objects(predicted), set[int](), list[Lesion]()
    for number, around in enumerate(ndimage.find_objects(numbers), start=1):
        lesion = (numbers[around] == number) & truth[around]
        touched = np.unique(predicted[around][_dilate(lesion, dilation)])
        found = touched[touched > 0].tolist()
        served.update(found)
        part = enclosing([around, *(places[matched - 1] for matched in found)])
        lesion = (numbers[part] == number) & truth[part]
        hidden = None if unknown is None else unknown[box][part]
        lesions.append(_score(np.isin(predicted[part], found), lesion, spacing, len(found), hidden))
    kept = tuple(lesion for lesion in lesions if lesion.volume > least_volume)
    return LesionScores(tuple(lesions), kept, len(places) - len(served))


def _dilate(mask: np.ndarray, steps: int) -> np.ndarray:
    if not steps:
        return mask
    dilated: np.ndarray = ndimage.binary_dilation(mask, neighbourhood(mask.ndim, 2), steps)
    return dilated


def _score(
    matched: np.ndarray, lesion: np.ndarray, spacing: Sequence[float], number: int, unknown: np.ndarray | None
) -> Lesion:
    voxels = int(lesion.sum())
    volume = voxels * math.prod(spacing)
    if not number:
        return Lesion(volume, 0.0, WORST_HD95, 0)
    dice = 2 * int((matched & lesion).sum()) / (int(matched.sum()) + voxels)
    hd95 = hausdorff(surfel_distances(matched, lesion, spacing, unknown))
    return Lesion(volume, dice, hd95 if math.isfinite(hd95) else WORST_HD95, number)


@dataclass(frozen=True, slots=True)
class LesionCounts:
    """Lesions that were found, wrongly found and missed, as ISLES 2022 counts them.

    A true component with any predicted voxel is found; a predicted one without any true voxel is wrong.
    """

    true: int
    predicted: int
    true_positives: int
    false_positives: int

    @property
    def false_negatives(self) -> int:
        """True components without any predicted voxel."""
        return self.true - self.true_positives

    @property
    def difference(self) -> int:
        """Of the numbers of components, without sign."""
        return abs(self.true - self.predicted)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); 1 where there are no lesions at all."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / (2 * self.true_positives + wrong) if self.true_positives + wrong else 1.0


def count_lesions(prediction: np.ndarray, truth: np.ndarray) -> LesionCounts:
    """Count the lesions of two masks (*S) bool."""
    true, predicted = components(truth), components(prediction)
    both = prediction & truth
    sizes = int(true.max(initial=0)), int(predicted.max(initial=0))
    return LesionCounts(*sizes, len(np.unique(true[both])), sizes[1] - len(np.unique(predicted[both])))
