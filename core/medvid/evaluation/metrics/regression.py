"""Figures of predicted numbers: errors, and agreement with the truth.

`truth` and `prediction` are (N,), known and finite, in one unit; the difference is prediction - truth. All are NaN
without a case; what compares with a spread is NaN where there is none (one case, a constant truth), never 0 or 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

Z95 = 1.96
"""Half width of limits of agreement, in standard deviations, as Bland and Altman have it."""


def mean_absolute_error(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of |difference|, in the unit."""
    return _mean(np.abs(prediction - truth))


def median_absolute_error(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Median of |difference|, in the unit."""
    return float(np.median(np.abs(prediction - truth))) if len(truth) else math.nan


def mean_squared_error(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of difference^2, in the unit squared."""
    return _mean((prediction - truth) ** 2)


def root_mean_squared_error(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean of difference^2, in the unit."""
    return math.sqrt(mean_squared_error(truth, prediction))


def mean_absolute_percentage_error(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of |difference / truth|, in percent; NaN if a truth is 0."""
    return math.nan if (truth == 0).any() else 100 * _mean(np.abs((prediction - truth) / truth))


def r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of the truth's variance that is explained, 1 - SS_res / SS_tot (not Pearson squared).

    NaN for one case and a constant truth, where scikit-learn has NaN and 0.
    """
    if _constant(truth):
        return math.nan
    return 1 - float(((prediction - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Linear correlation; NaN if either is constant."""
    if _constant(truth) or _constant(prediction):
        return math.nan
    x, y = truth - truth.mean(), prediction - prediction.mean()
    return float(np.clip((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)), -1, 1))


def spearman(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Correlation of ranks, ties at their mean rank; NaN if either is constant."""
    return pearson(_ranks(truth), _ranks(prediction))


def concordance(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Lin's concordance correlation, with variances over N; NaN for one case and a constant truth."""
    if _constant(truth):
        return math.nan
    covariance = np.cov(truth, prediction, ddof=0)
    return float(2 * covariance[0, 1] / (covariance.trace() + (truth.mean() - prediction.mean()) ** 2))


def intraclass_correlation(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """ICC(2,1), absolute agreement, and ICC(3,1), consistency, of truth and prediction as two raters.

    Source: Shrout and Fleiss 1979. NaN for one case, and where neither varies.
    """
    if _constant(truth) and _constant(prediction):
        return math.nan, math.nan
    ratings = np.stack([truth, prediction], axis=1)
    cases, raters = ratings.shape
    centre, rows, columns = ratings.mean(), ratings.mean(axis=1), ratings.mean(axis=0)
    residual = ratings - rows[:, None] - columns + centre
    between = raters * ((rows - centre) ** 2).sum() / (cases - 1)
    error = (residual**2).sum() / ((cases - 1) * (raters - 1))
    rater = cases * ((columns - centre) ** 2).sum() / (raters - 1)
    consistency = between + (raters - 1) * error
    agreement = consistency + raters * (rater - error) / cases
    return float((between - error) / agreement), float((between - error) / consistency)


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Agreement by the differences, prediction - truth, in the unit.

    Args:
        bias: their mean.
        sd: their standard deviation, over N - 1; NaN for one case.
        limits: bias -+ 1.96 sd, between which 95 % of differences are expected.
        bias_half_width: of the 95 % interval of the bias, by t; NaN for one case.
        limits_half_width: of the 95 % interval of each limit, t sd sqrt(1/N + 1.96^2 / (2 (N - 1))).
    """

    bias: float
    sd: float
    limits: tuple[float, float]
    bias_half_width: float
    limits_half_width: float


def bland_altman(truth: np.ndarray, prediction: np.ndarray) -> BlandAltman:
    """Bias and limits of agreement with their intervals (Bland and Altman 1986, 1999)."""
    difference = prediction - truth
    cases, bias = len(difference), _mean(difference)
    if cases < 2:
        return BlandAltman(bias, math.nan, (math.nan, math.nan), math.nan, math.nan)
    sd = float(difference.std(ddof=1))
    t = float(stdtrit(cases - 1, 0.975))
    spread = t * sd * math.sqrt(1 / cases + Z95**2 / (2 * (cases - 1)))
    return BlandAltman(bias, sd, (bias - Z95 * sd, bias + Z95 * sd), t * sd / math.sqrt(cases), spread)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _constant(values: np.ndarray) -> bool:
    return not len(values) or bool((values == values[0]).all())


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1; equal values share their mean rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks: np.ndarray = np.cumsum(sizes) - (sizes - 1) / 2
    return mean_ranks[group]
