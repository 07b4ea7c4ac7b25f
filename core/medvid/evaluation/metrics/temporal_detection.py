"""Detected actions in time: average precision at a temporal overlap, as ActivityNet and THUMOS14 have it."""

import math
from collections.abc import Sequence

import numpy as np

ACTIVITYNET = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
"""Its overlaps."""
THUMOS14 = tuple(np.linspace(0.3, 0.7, 5).round(1).tolist())
"""Its overlaps; its own kit leaves out what lies in segments called Ambiguous, which this does not know."""


def detection_average_precision(truth: np.ndarray, detections: np.ndarray, overlaps: Sequence[float]) -> np.ndarray:
    """AP of each class of the truth, at each overlap; the mean over classes is the mAP.

    Detections are taken by falling score, of equals the first. Each takes the segment of its video and class that is
    not taken yet and overlaps it most, if by at least the threshold, and else is false. AP is interpolated: the
    precision at a recall is the best at that recall or above.

    Args:
        truth: (N, 4): video, class, start and end in seconds.
        detections: (M, 5): the same, and a score.
        overlaps: least intersection over union of two segments.

    Returns:
        (classes of the truth in rising order, overlaps).
    """
    return np.array(
        [
            [
                _average_precision(truth[truth[:, 1] == one], detections[detections[:, 1] == one], least)
                for least in overlaps
            ]
            for one in np.unique(truth[:, 1])
        ]
    ).reshape(-1, len(overlaps))


def _average_precision(truth: np.ndarray, detections: np.ndarray, least: float) -> float:
    """Of one class at one overlap."""
    if not len(truth):
        return math.nan
    hits = _hits(truth, detections[np.argsort(-detections[:, 4], kind="stable")], least)
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / len(truth))


def _hits(truth: np.ndarray, detections: np.ndarray, least: float) -> np.ndarray:
    """Which detections, in this order, take a segment."""
    free = np.ones(len(truth), bool)
    hits = np.zeros(len(detections), bool)
    for number, (video, _, start, end, _) in enumerate(detections):
        overlap = np.where(free & (truth[:, 0] == video), _overlap(truth[:, 2:], start, end), -1.0)
        best = int(overlap.argmax())
        if overlap[best] >= least:
            free[best], hits[number] = False, True
    return hits


def _overlap(segments: np.ndarray, start: float, end: float) -> np.ndarray:
    """Intersection over union of each segment (N, 2) with this one; 0 where both have no length."""
    both = (np.minimum(segments[:, 1], end) - np.maximum(segments[:, 0], start)).clip(0)
    either = segments[:, 1] - segments[:, 0] + (end - start) - both
    shares: np.ndarray = np.divide(both, either, out=np.zeros(len(segments)), where=either > 0)
    return shares
