"""Figures of whole label sets: every label of every case has to be known.

`truth` and `predicted` are (N, L) of 0 and 1. Ranking and decisions of one label are in `ranking` and `decisions`; for
a mean over the entries of all labels together (micro), give those their ravelled arrays.
"""

import math

import numpy as np

from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.ranking import average_precision


def exact_match(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the cases whose labels are all right."""
    return mean((truth == predicted).all(axis=1).tolist())


def hamming_loss(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the (case, label) pairs that are wrong."""
    return mean((truth != predicted).ravel().tolist())


def f1_per_case(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """2 |P and T| / (|P| + |T|) of each case (N,); NaN where it has no label and none is predicted."""
    both, either = (truth * predicted).sum(axis=1), truth.sum(axis=1) + predicted.sum(axis=1)
    scores = np.full(len(truth), np.nan)
    np.divide(2.0 * both, either, out=scores, where=either > 0)
    return scores


def label_ranking_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over cases and their labels of the share of true ones among the labels that score as high or higher.

    Source: scikit-learn's, where a case with no label or with all of them counts 1. Scores are (N, L).
    """
    return mean(_case_ranking(labels == 1, score) for labels, score in zip(truth, scores, strict=True))


def _case_ranking(labels: np.ndarray, score: np.ndarray) -> float:
    if labels.all() or not labels.any():
        return 1.0
    higher = score[:, None] >= score[labels]
    return mean((higher[labels].sum(axis=0) / higher.sum(axis=0)).tolist())


def average_precision_per_label(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each label (L,), NaN without a positive. The mean over the others is PySlowFast's and mmaction2's mAP."""
    return np.array([average_precision(*of) for of in zip(truth.T, scores.T, strict=True)])


def average_precision_per_case(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each case over its labels (N,), NaN where it has none. The mean is mmaction2's MMIT mAP."""
    return average_precision_per_label(truth.T, scores.T)


def charades_average_precision(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each label (L,) as Charades' own script has it, NaN without a positive.

    Cases without any label are put last, and precision is summed at each hit in order, so that of tied scores the
    first case in the file comes first: the same scores in another order give another figure.
    """
    ranked = np.where(truth.any(axis=1, keepdims=True), scores, -np.inf)
    return np.array([_precision_at_hits(*of) for of in zip(truth.T == 1, ranked.T, strict=True)])


def _precision_at_hits(positive: np.ndarray, score: np.ndarray) -> float:
    hits = positive[np.argsort(-score, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean()) if hits.any() else math.nan
