"""Figures of one positive class or label: of its scores against the truth, and of the decision at 0.5."""

import numpy as np

from medvid.evaluation.metrics import decisions
from medvid.evaluation.metrics.calibration import brier_positive, calibration_bins
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.ranking import auroc_of, average_precision_of, best_share, threshold_counts

OPERATING_POINT = 0.9
"""The specificity (sensitivity) at which the sensitivity (specificity) is given."""

RANKED = (
    Figure(
        "auroc",
        "AUROC",
        3,
        "AUROC is the probability that a positive case scores above a negative one, ties counting half; not defined "
        "without either",
        better="higher",
    ),
    Figure(
        "average_precision",
        "AP",
        3,
        "AP sums precision over the steps of recall, without interpolation; not defined without a positive case",
        better="higher",
    ),
    Figure(
        f"sensitivity_at_specificity_{OPERATING_POINT:.2f}",
        f"sens. at spec. {OPERATING_POINT:.2f}",
        3,
        f"sensitivity at specificity {OPERATING_POINT:.2f} is the highest of a threshold that has at least that",
        better="higher",
    ),
    Figure(
        f"specificity_at_sensitivity_{OPERATING_POINT:.2f}",
        f"spec. at sens. {OPERATING_POINT:.2f}",
        3,
        f"specificity at sensitivity {OPERATING_POINT:.2f} is the highest of a threshold that has at least that",
        better="higher",
    ),
)
DECIDED = (
    Figure(
        "f1",
        "F1",
        3,
        "F1 is 2 TP / (2 TP + FP + FN), 0 where it is predicted but absent, else not defined there",
        better="higher",
    ),
    Figure(
        "sensitivity", "sens.", 3, "sensitivity is the share of the positive cases that were found", better="higher"
    ),
    Figure("specificity", "spec.", 3, "specificity is the share of the negative cases that were not", better="higher"),
)
CALIBRATED = (
    Figure(
        "brier",
        "Brier",
        3,
        "Brier score is the mean of (p - y)^2 of the positive's probability, 0 to 1",
        better="lower",
    ),
    Figure("ece", "ECE", 3, "ECE is of the positive's probability, with 15 equal right-closed bins", better="lower"),
)


def ranked(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """The figures `RANKED` of truth (N,), 0 or 1, and scores (N,)."""
    _, tp, fp = threshold_counts(truth, score)
    tn = fp[-1] - fp
    found = (
        auroc_of(tp, fp),
        average_precision_of(tp, fp),
        best_share(tp, tn, OPERATING_POINT),
        best_share(tn, tp, OPERATING_POINT),
    )
    return {figure.column: value for figure, value in zip(RANKED, found, strict=True)}


def decided(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The figures `DECIDED` of truth and answers (N,), 0 or 1."""
    counts = decisions.confusion(truth, predicted, 2)
    specificity, sensitivity = decisions.recall(counts).tolist()
    return {"f1": float(decisions.f1(counts)[1]), "sensitivity": sensitivity, "specificity": specificity}


def calibrated(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """The figures `CALIBRATED` of truth (N,), 0 or 1, and probabilities (N,)."""
    bins = calibration_bins(probability, truth)
    return {"brier": brier_positive(truth, probability), "ece": bins.expected_error}
