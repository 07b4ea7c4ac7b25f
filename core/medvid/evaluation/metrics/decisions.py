"""Figures of decided classes, from a confusion matrix (C, C) of counts, indexed [true class, predicted class].

What divides by nothing is NaN and left out of means: recall of a class without a case, precision of one that is never
predicted, F1 of one that is neither. F1 of a class that is predicted but absent is 0, as those are false positives.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.masks import confusion_matrix


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the cases (N,) of each pair of class ids below `classes`: (C, C) int64 [true, predicted]."""
    return confusion_matrix(predicted[None], truth[None], classes)


def accuracy(counts: np.ndarray) -> float:
    """Share of the cases that were given their class; NaN without a case."""
    return float(_ratio(counts.trace(), counts.sum()))


def recall(counts: np.ndarray) -> np.ndarray:
    """Share of each class's cases that were given it (C,); of a positive class its sensitivity."""
    return _ratio(counts.diagonal(), counts.sum(axis=1))


def precision(counts: np.ndarray) -> np.ndarray:
    """Share of the cases that were given a class that have it (C,)."""
    return _ratio(counts.diagonal(), counts.sum(axis=0))


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class (C,): 2 TP / (2 TP + FP + FN), NaN for a class in neither truth nor prediction."""
    return _ratio(2 * counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1))


def balanced_accuracy(counts: np.ndarray) -> float:
    """Mean recall over the classes that have cases."""
    return mean(recall(counts).tolist())


def cohen_kappa(counts: np.ndarray, weights: Literal["none", "linear", "quadratic"] = "none") -> float:
    """Agreement beyond chance: 1 - sum(w O) / sum(w E) over all classes; NaN where chance alone agrees entirely.

    Args:
        counts: the confusion matrix.
        weights: of two classes i and j: 1 where they differ, or of ordered ones |i - j| or (i - j)^2.
    """
    distance = np.abs(np.subtract.outer(range(len(counts)), range(len(counts))))
    weight = {"none": distance > 0, "linear": distance, "quadratic": distance**2}[weights]
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) * weight
    return 1.0 - float(_ratio((counts * weight).sum() * counts.sum(), expected.sum()))


def matthews_correlation(counts: np.ndarray) -> float:
    """Correlation of truth and prediction (Gorodkin 2004); NaN where either is one class throughout."""
    true, predicted, cases = (
        counts.sum(axis=1).astype(float),
        counts.sum(axis=0).astype(float),
        float(counts.sum()),
    )
    spread = (cases**2 - true @ true) * (cases**2 - predicted @ predicted)
    return float(_ratio(counts.trace() * cases - true @ predicted, math.sqrt(spread)))


def top_k_accuracy(truth: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Share of the cases whose class is among the k likeliest; ties count against the model.

    Args:
        truth: class ids (N,).
        probabilities: (N, C).
        k: number of answers.
    """
    true = np.take_along_axis(probabilities, truth[:, None], axis=1)
    rank = (probabilities >= true).sum(axis=1)
    return mean((rank <= k).tolist())


def _ratio(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """The quotient, NaN where `whole` is 0."""
    whole = np.asarray(whole, float)
    quotient: np.ndarray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return quotient
