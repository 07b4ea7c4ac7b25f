"""How well scores order cases: AUROC, average precision, and the curves behind them.

Everything is counted at the distinct scores, so tied cases pass a threshold together and their order never matters.
`truth` is (N,) with 1 for a positive and 0 for a negative case, `score` (N,) and finite; higher means more positive.
"""

import math

import numpy as np


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """P(score of a positive > that of a negative) + P(equal) / 2; NaN without a positive or without a negative.

    Source: Hanley and McNeil 1982; the area under `roc_curve`, exact up to the last division.
    """
    return auroc_of(*threshold_counts(truth, score)[1:])


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Sum over falling distinct thresholds of (R_n - R_n-1) P_n, without interpolation; NaN without a positive."""
    return average_precision_of(*threshold_counts(truth, score)[1:])


def sensitivity_at_specificity(truth: np.ndarray, score: np.ndarray, specificity: float) -> float:
    """The highest sensitivity of a threshold whose specificity is at least this; NaN if either is undefined."""
    _, tp, fp = threshold_counts(truth, score)
    return best_share(tp, fp[-1] - fp, specificity)


def specificity_at_sensitivity(truth: np.ndarray, score: np.ndarray, sensitivity: float) -> float:
    """The highest specificity of a threshold whose sensitivity is at least this; NaN if either is undefined."""
    _, tp, fp = threshold_counts(truth, score)
    return best_share(fp[-1] - fp, tp, sensitivity)


def roc_curve(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the ROC curve from (0, 0) to (1, 1).

    Returns:
        False positive rates, true positive rates and thresholds (falling, the first infinite), one entry per point;
        NaN where there is no negative, or no positive.
    """
    thresholds, tp, fp = threshold_counts(truth, score)
    return _share(fp, fp[-1]), _share(tp, tp[-1]), thresholds


def precision_recall_curve(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the precision-recall curve by rising recall; NaN recall without a positive.

    Returns:
        Precisions, recalls and thresholds (falling). The first point, where nothing is positive, has precision 1.
    """
    thresholds, tp, fp = threshold_counts(truth, score)
    precision = np.append(1.0, tp[1:] / (tp[1:] + fp[1:]))
    return precision, _share(tp, tp[-1]), thresholds


def threshold_counts(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count true and false positives where every score at or above a threshold is positive.

    Returns:
        The distinct scores, falling, with infinity before them, and for each int64 counts of the true and the false
        positives, which so begin with 0.
    """
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], [True] * bool(len(falling))))
    tp = np.cumsum(truth[order] == 1, dtype=np.int64)[last]
    thresholds = np.append(np.inf, falling[last])
    return thresholds, np.append(0, tp), np.append(0, last + 1 - tp)


def auroc_of(tp: np.ndarray, fp: np.ndarray) -> float:
    """`auroc` from the counts of `threshold_counts`."""
    pairs = int(tp[-1]) * int(fp[-1])
    return int((np.diff(fp) * (tp[1:] + tp[:-1])).sum()) / (2 * pairs) if pairs else math.nan


def average_precision_of(tp: np.ndarray, fp: np.ndarray) -> float:
    """`average_precision` from the counts of `threshold_counts`."""
    if not tp[-1]:
        return math.nan
    return float((np.diff(tp) / tp[-1] * (tp[1:] / (tp[1:] + fp[1:]))).sum())


def best_share(wanted: np.ndarray, held: np.ndarray, least: float) -> float:
    """The largest share of `wanted` cases where that of the cases `held` is at least this; NaN if there are none."""
    if not wanted.max() or not held.max():
        return math.nan
    return float(wanted[held / held.max() >= least].max() / wanted.max())


def _share(counts: np.ndarray, total: int) -> np.ndarray:
    return counts / total if total else np.full(len(counts), np.nan)
