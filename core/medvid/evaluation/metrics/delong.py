"""DeLong's variance of AUROC, its intervals, and the test of two models on the same cases.

Source: DeLong, DeLong and Clarke-Pearson 1988. `truth` is (N,) of 0 and 1, `scores` (models, N).
"""

import math

import numpy as np
from scipy.special import ndtri

from medvid.evaluation.metrics.intervals import Interval


def delong(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC of each model (M,) and their covariance (M, M).

    NaN where one class has no case; the covariance also where one has a single case. Where a model orders everything
    right, or nothing at all, its variance is 0, and an interval by it says nothing: take a bootstrap over patients.
    """
    models = len(scores)
    if not ((truth == 1).any() and (truth == 0).any()):
        return np.full(models, np.nan), np.full((models, models), np.nan)
    placements = [_placements(score[truth == 1], score[truth == 0]) for score in scores]
    positive, negative = (np.stack(part) for part in zip(*placements, strict=True))
    return positive.mean(axis=1), _covariance(positive) + _covariance(negative)


def normal_interval(auc: float, variance: float, level: float = 0.95) -> Interval:
    """AUROC -+ z standard errors, clipped to [0, 1]."""
    half = float(ndtri((1 + level) / 2)) * math.sqrt(variance)
    return Interval(max(0.0, auc - half), min(1.0, auc + half), level)


def logit_interval(auc: float, variance: float, level: float = 0.95) -> Interval:
    """The same on the scale of ln(AUROC / (1 - AUROC)), so it stays within (0, 1); NaN for AUROC of 0 or 1."""
    if not 0 < auc < 1:
        return Interval(math.nan, math.nan, level)
    centre = math.log(auc / (1 - auc))
    half = float(ndtri((1 + level) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    low, high = (1 / (1 + math.exp(-end)) for end in (centre - half, centre + half))
    return Interval(low, high, level)


def paired_test(auc: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Test that two models have the same AUROC, from what `delong` returns: z and the two-sided p.

    NaN where the difference does not vary.
    """
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 0:
        return math.nan, math.nan
    z = float((auc[0] - auc[1]) / math.sqrt(variance))
    return z, math.erfc(abs(z) / math.sqrt(2))


def _placements(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""
    return _below(positive, negative), 1 - _below(negative, positive)


def _below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    ordered = np.sort(others)
    less, not_more = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (less + not_more) / (2 * len(ordered))


def _covariance(placements: np.ndarray) -> np.ndarray:
    cases = placements.shape[1]
    if cases < 2:
        return np.full((len(placements), len(placements)), np.nan)
    covariance: np.ndarray = np.atleast_2d(np.cov(placements, ddof=1)) / cases
    return covariance
