"""One positive class: labels and scores (N,)."""

import re
from collections.abc import Callable

import numpy as np
import torch

from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics import calibration, decisions, delong, intervals, ranking
from medvid.evaluation.metrics.of_classes import figures_of_classes

Figure = Callable[[np.ndarray, np.ndarray], float]
FIGURES: dict[str, Figure] = {"auroc": ranking.auroc, "average_precision": ranking.average_precision}


def torchmetrics_bins(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> calibration.CalibrationBins:
    """Its bins are closed on the left, and its confidences and edges in single precision."""
    edges = torch.linspace(0, 1, bins + 1).numpy()
    return calibration.calibration_bins(confidence.astype(np.float32), right, edges, "left")


def own_bins(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> calibration.CalibrationBins:
    return calibration.calibration_bins(confidence, right, np.linspace(0, 1, bins + 1))


def or_zero(value: float) -> float:
    """The convention of libraries for what is undefined."""
    return float(np.nan_to_num(value))


def level(match: re.Match[str]) -> float:
    return int(match["level"]) / 100


def ends(interval: intervals.Interval) -> list[float]:
    return [interval.low, interval.high]


def _counts(case: Case) -> np.ndarray:
    above = np.greater_equal if ">=" in case.expected.get("rule", "") else np.greater
    predicted = above(case["score"], case.expected.get("threshold", 0.5))
    return decisions.confusion(case["label"], predicted.astype(int), 2)


def _inclusive(case: Case) -> float:
    return float(((case["score"] >= case.expected.get("threshold", 0.5)) == case["label"]).mean())


def _successes(case: Case) -> tuple[int, int]:
    counts = _counts(case)
    return int(counts.trace()), int(counts.sum())


def _delong(case: Case) -> tuple[float, float]:
    auc, covariance = delong.delong(case["label"], case["score"][None])
    return auc[0], covariance[0, 0]


def _two(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return delong.delong(case["label"], np.stack([case["score_a"], case["score_b"]]))


def _resampled(case: Case, match: re.Match[str]) -> np.ndarray:
    figure = FIGURES[match["figure"]]
    found = intervals.bootstrap(
        lambda drawn: {"figure": figure(case["label"][drawn], case["score"][drawn])}, case["resample"]
    )
    return found["figure"]


def _medmnist(figure: Callable[[Case], float]) -> Callable[[Case, re.Match[str]], float]:
    """Its evaluator fails on a single case, which it squeezes to none."""
    return lambda c, _: figure(c) if len(c["label"]) > 1 else np.nan


BINARY: Rules = {
    r"(?P<figure>auroc|average_precision)\.torchmetrics": lambda c, m: or_zero(
        FIGURES[m["figure"]](c["label"], c["score"])
    ),
    r"auroc\.sklearn": lambda c, _: ranking.auroc(c["label"], c["score"]),
    r"average_precision\.sklearn": lambda c, _: or_zero(ranking.average_precision(c["label"], c["score"])),
    r"pr_auc_trapezoid\.sklearn": lambda c, _: _trapezoid(c),
    r"sensitivity_at_specificity_([\d.]+)": lambda c, m: ranking.sensitivity_at_specificity(
        c["label"], c["score"], float(m[1])
    ),
    r"specificity_at_sensitivity_([\d.]+)": lambda c, m: ranking.specificity_at_sensitivity(
        c["label"], c["score"], float(m[1])
    ),
    r"confusion tn fp fn tp": lambda c, _: _counts(c).ravel(),
    r"accuracy": lambda c, _: decisions.accuracy(_counts(c)),
    r"accuracy if score >= threshold": lambda c, _: _inclusive(c),
    r"balanced_accuracy\.sklearn": lambda c, _: decisions.balanced_accuracy(_counts(c)),
    r"precision \(0 if 0/0\)": lambda c, _: or_zero(decisions.precision(_counts(c))[1]),
    r"recall \(0 if 0/0\)": lambda c, _: or_zero(decisions.recall(_counts(c))[1]),
    r"f1 \(0 if 0/0\)": lambda c, _: or_zero(decisions.f1(_counts(c))[1]),
    r"f1 \(nan if 0/0\)": lambda c, _: decisions.f1(_counts(c))[1],
    r"mcc\.sklearn": lambda c, _: or_zero(decisions.matthews_correlation(_counts(c))),
    r"cohen_kappa\.sklearn": lambda c, _: decisions.cohen_kappa(_counts(c)),
    r"medmnist\.AUC": _medmnist(lambda c: ranking.auroc(c["label"], c["score"])),
    r"medmnist\.ACC": _medmnist(lambda c: float(((c["score"] > 0.5) == c["label"]).mean())),
    r"brier": lambda c, _: calibration.brier_positive(c["label"], c["score"]),
    r"log_loss\.sklearn": lambda c, _: calibration.log_loss(c["label"], np.stack([1 - c["score"], c["score"]], 1)),
    r"ece(\d+)_positive_probability\.own \(bins right-closed\)": lambda c, m: (
        own_bins(c["score"], c["label"], int(m[1])).expected_error
    ),
    r"ece(\d+)_positive_probability\.torchmetrics": lambda c, m: (
        torchmetrics_bins(c["score"], c["label"], int(m[1])).expected_error
    ),
    r"mce(\d+)_positive_probability\.torchmetrics": lambda c, m: (
        torchmetrics_bins(c["score"], c["label"], int(m[1])).maximum_error
    ),
    r"delong > auc": lambda c, _: _delong(c)[0],
    r"delong > variance": lambda c, _: _delong(c)[1],
    r"delong > ci(?P<level>\d+)_normal_clipped": lambda c, m: ends(delong.normal_interval(*_delong(c), level(m))),
    r"delong > ci(?P<level>\d+)_logit": lambda c, m: ends(delong.logit_interval(*_delong(c), level(m))),
    r"accuracy_ci(?P<level>\d+)\.wilson\.statsmodels": lambda c, m: ends(intervals.wilson(*_successes(c), level(m))),
    r"accuracy_ci(?P<level>\d+)\.clopper_pearson\.statsmodels": lambda c, m: ends(
        intervals.clopper_pearson(*_successes(c), level(m))
    ),
    r"right_closed": lambda c, _: own_bins(c["score"], c["label"]).expected_error,
    r"left_closed": lambda c, _: calibration.calibration_bins(c["score"], c["label"], closed="left").expected_error,
    r"torchmetrics_float(32|64)": lambda c, _: torchmetrics_bins(c["score"], c["label"]).expected_error,
}

TWO_MODELS: Rules = {
    r"auc_a": lambda c, _: _two(c)[0][0],
    r"auc_b": lambda c, _: _two(c)[0][1],
    r"covariance": lambda c, _: _two(c)[1],
    r"z": lambda c, _: delong.paired_test(*_two(c))[0],
    r"p_two_sided": lambda c, _: delong.paired_test(*_two(c))[1],
}

RESAMPLED: Rules = {
    r"(?P<figure>\w+) > values": _resampled,
    r"(?P<figure>\w+) > undefined_resamples": lambda c, m: intervals.percentile(_resampled(c, m)).undefined,
    r"(?P<figure>\w+) > ci(?P<level>\d+)_percentile .*": lambda c, m: ends(
        intervals.percentile(_resampled(c, m), level(m))
    ),
}


def _trapezoid(case: Case) -> float:
    precision, recall, _ = ranking.precision_recall_curve(case["label"], case["score"])
    if np.isnan(recall).any():
        recall = np.append(0.0, np.ones(len(recall) - 1))  # scikit-learn's recall without a positive
    return float(np.trapezoid(precision, recall))


def score_all(case: Case) -> object:
    """All figures, which refuses scores that are not finite."""
    probabilities = np.stack([1 - case["score"], case["score"]], axis=1)
    return figures_of_classes(probabilities, case["label"], ("negative", "positive"))
