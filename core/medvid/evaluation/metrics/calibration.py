"""Whether probabilities mean what they say: calibration errors, Brier score, log loss."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

BINS = 15
"""Equal bins of (0, 1]."""


@dataclass(frozen=True, slots=True)
class CalibrationBins:
    """Cases by confidence; empty bins are left out.

    Args:
        cases: number of cases of each bin.
        confidence: their mean confidence.
        accuracy: share of them that are right.
    """

    cases: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def expected_error(self) -> float:
        """ECE: mean over cases of |accuracy - confidence| of their bin; NaN without a case."""
        return float(self.cases @ self._gaps / self.cases.sum()) if len(self.cases) else math.nan

    @property
    def maximum_error(self) -> float:
        """MCE: the largest |accuracy - confidence| of a bin; NaN without a case."""
        return float(self._gaps.max()) if len(self.cases) else math.nan

    @property
    def _gaps(self) -> np.ndarray:
        gaps: np.ndarray = np.abs(self.accuracy - self.confidence)
        return gaps


def calibration_bins(
    confidence: np.ndarray,
    right: np.ndarray,
    edges: np.ndarray | None = None,
    closed: Literal["right", "left"] = "right",
) -> CalibrationBins:
    """Sort cases into bins by confidence.

    Args:
        confidence: (N,) in [0, 1]: of the likeliest class, or of the positive one.
        right: (N,) whether that class is the true one.
        edges: rising, from 0 to 1; by default of `BINS` equal bins.
        closed: the side on which a bin has its edge. The first bin has 0 and the last has 1 in either case.
    """
    edges = np.linspace(0, 1, BINS + 1) if edges is None else edges
    number = np.searchsorted(edges, confidence, side="left" if closed == "right" else "right") - 1
    number = number.clip(0, len(edges) - 2)
    cases = np.bincount(number, minlength=len(edges) - 1)
    some = cases > 0
    sums = (np.bincount(number, values, len(cases))[some] for values in (confidence, right))
    return CalibrationBins(cases[some], *(total / cases[some] for total in sums))


def top_label_bins(truth: np.ndarray, probabilities: np.ndarray) -> CalibrationBins:
    """The bins of the likeliest class (of equals the first) of ids (N,) and probabilities (N, C)."""
    return calibration_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)


def brier_positive(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean of (p - y)^2 over cases, 0 (best) to 1, of truth and probability (N,); NaN without a case."""
    return float(((probability - truth) ** 2).mean()) if len(truth) else math.nan


def brier_classes(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over cases of the sum over classes of (p - y)^2, 0 (best) to 2, of ids (N,) and (N, C); NaN without a case.

    Source: Brier 1950.
    """
    true = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - true) ** 2).sum(axis=1).mean()) if len(truth) else math.nan


def log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -ln p of the true class, in nats, of ids (N,) and (N, C); p is at least 2.2e-16; NaN without a case."""
    likelihood = np.take_along_axis(probabilities, truth[:, None], axis=1)
    smallest = np.finfo(np.float64).eps
    return float(-np.log(likelihood.clip(smallest, 1 - smallest)).mean()) if len(truth) else math.nan
