"""Temporal segmentation by its segments: edit score and F1 at an overlap, as MS-TCN has them.

A segment is a stretch of frames of one label; those of background labels are left out.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from medvid.evaluation.metrics.phases import runs

Segment = tuple[int, int, int]
"""Label, first frame, and the frame after the last."""


def segments(frames: np.ndarray, background: Collection[int] = ()) -> list[Segment]:
    """The segments of labels (T,), in order."""
    return [(label, run.start, run.stop) for label, run in runs(frames) if label not in background]


def edit_score(truth: np.ndarray, prediction: np.ndarray, background: Collection[int] = ()) -> float:
    """100 (1 - d / n), d the Levenshtein distance of the segments' labels and n the larger number; NaN if 0."""
    true, predicted = ([label for label, *_ in segments(frames, background)] for frames in (truth, prediction))
    most = max(len(true), len(predicted))
    return 100 * (1 - _levenshtein(true, predicted) / most) if most else math.nan


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """Segments that were found, that are false, and that were missed; those of several videos add up."""

    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: "SegmentCounts") -> "SegmentCounts":
        return SegmentCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), in percent; NaN if there are no segments."""
        found = 2 * self.true_positives
        total = found + self.false_positives + self.false_negatives
        return 100 * found / total if total else math.nan


def segment_counts(
    truth: np.ndarray, prediction: np.ndarray, overlap: float, background: Collection[int] = ()
) -> SegmentCounts:
    """Match the predicted segments of a video, in order, with the true ones of the same label.

    A segment takes the one that it overlaps most, of equals the first, if their intersection over union is at least
    `overlap` and no other has taken that; else it is false, even if it overlaps another one enough.
    """
    true, predicted = segments(truth, background), segments(prediction, background)
    taken: set[int] = set()
    for segment in predicted:
        shares = [_overlap(segment, other) for other in true]
        best = max(range(len(true)), key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= overlap:
            taken.add(best)
    return SegmentCounts(len(taken), len(predicted) - len(taken), len(true) - len(taken))


def _overlap(one: Segment, other: Segment) -> float:
    """Intersection over union of two segments; 0 where their labels differ."""
    if one[0] != other[0]:
        return 0.0
    both = max(0, min(one[2], other[2]) - max(one[1], other[1]))
    return both / (one[2] - one[1] + other[2] - other[1] - both)


def _levenshtein(one: list[int], other: list[int]) -> int:
    row = list(range(len(other) + 1))
    for number, label in enumerate(one, start=1):
        diagonal, row[0] = row[0], number
        for place, wanted in enumerate(other, start=1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (label != wanted))
    return row[-1]
