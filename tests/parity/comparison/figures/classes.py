"""One class of several: labels (N,) and probabilities (N, C)."""

import re
from itertools import combinations

import numpy as np

from comparison.figures.binary import FIGURES, or_zero, own_bins, torchmetrics_bins
from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics import calibration, decisions, ranking


def one_hot(case: Case) -> np.ndarray:
    return np.eye(case["probability"].shape[1], dtype=int)[case["label"]]


def _counts(case: Case) -> np.ndarray:
    return decisions.confusion(case["label"], case["probability"].argmax(axis=1), case["probability"].shape[1])


def _support(case: Case) -> np.ndarray:
    return one_hot(case).sum(axis=0)


def _per_class(case: Case, match: re.Match[str]) -> np.ndarray:
    pairs = zip(one_hot(case).T, case["probability"].T, strict=True)
    return np.array([FIGURES[match["figure"]](*pair) for pair in pairs])


def weighted(values: np.ndarray, weights: np.ndarray) -> float:
    """By the number of cases, over those that are defined."""
    known = ~np.isnan(values)
    return float((values[known] * weights[known]).sum() / weights[known].sum())


def _one_against_one(case: Case) -> float:
    """Mean over pairs of classes with cases, each scored in both directions (Hand and Till 2001)."""
    label, probability = case["label"], case["probability"]
    found = []
    for one, other in combinations(np.unique(label), 2):
        of = np.isin(label, (one, other))
        found += [ranking.auroc(label[of] == positive, probability[of, positive]) for positive in (one, other)]
    return float(np.mean(found))


def _places(probability: np.ndarray) -> np.ndarray:
    """By place rather than by probability, of equals the later class higher: scikit-learn's order of ties."""
    return probability.argsort(axis=1, kind="stable").argsort(axis=1)


def _top_label(case: Case) -> tuple[np.ndarray, np.ndarray]:
    probability = case["probability"]
    return probability.max(axis=1), probability.argmax(axis=1) == case["label"]


def _auc(case: Case) -> float:
    """MedMNIST's is undefined if that of any class is."""
    return float(np.mean([ranking.auroc(*pair) for pair in zip(one_hot(case).T, case["probability"].T, strict=True)]))


CLASSES: Rules = {
    r"confusion \(rows truth\)": lambda c, _: _counts(c),
    r"accuracy": lambda c, _: decisions.accuracy(_counts(c)),
    r"top(\d+)_accuracy\.sklearn": lambda c, m: decisions.top_k_accuracy(
        c["label"], _places(c["probability"]), int(m[1])
    ),
    r"recall_per_class": lambda c, _: decisions.recall(_counts(c)),
    r"balanced_accuracy\.sklearn \(absent classes left out\)": lambda c, _: decisions.balanced_accuracy(_counts(c)),
    r"balanced_accuracy\.(torchmetrics \(macro recall\)|mmaction mean_class_accuracy)": lambda c, _: np.mean(
        np.nan_to_num(decisions.recall(_counts(c)))
    ),
    r"f1_per_class \(0 if 0/0\)\.sklearn": lambda c, _: np.nan_to_num(decisions.f1(_counts(c))),
    r"f1_macro over all C \(0 if 0/0\)\.sklearn": lambda c, _: np.nan_to_num(decisions.f1(_counts(c))).mean(),
    r"f1_macro over classes in truth or prediction\.sklearn|f1_macro\.torchmetrics": lambda c, _: np.nanmean(
        decisions.f1(_counts(c))
    ),
    r"f1_micro\.sklearn": lambda c, _: decisions.accuracy(_counts(c)),
    r"f1_weighted\.sklearn": lambda c, _: weighted(decisions.f1(_counts(c)), _support(c)),
    r"cohen_kappa\.sklearn": lambda c, _: decisions.cohen_kappa(_counts(c)),
    r"cohen_kappa_(linear|quadratic)\.(sklearn|torchmetrics)": lambda c, m: decisions.cohen_kappa(
        _counts(c), "linear" if m[1] == "linear" else "quadratic"
    ),
    r"mcc\.sklearn": lambda c, _: or_zero(decisions.matthews_correlation(_counts(c))),
    r"(?P<figure>auroc|average_precision)_per_class( \(one against rest\))?": _per_class,
    r"(?P<figure>auroc|average_precision)_macro over defined classes": lambda c, m: np.nanmean(_per_class(c, m)),
    r"(?P<figure>auroc)_weighted( over defined classes|\.torchmetrics)": lambda c, m: weighted(
        _per_class(c, m), _support(c)
    ),
    r"auroc_ovr_macro\.sklearn": lambda c, _: _auc(c),
    r"(?P<figure>auroc)_ovr_weighted\.sklearn": lambda c, m: weighted(_per_class(c, m), _support(c)),
    r"auroc_ovo_macro\.sklearn": lambda c, _: _one_against_one(c),
    r"(?P<figure>auroc|average_precision)_micro": lambda c, m: FIGURES[m["figure"]](
        one_hot(c).ravel(), c["probability"].ravel()
    ),
    r"(?P<figure>auroc)_macro\.torchmetrics": lambda c, m: np.nan_to_num(_per_class(c, m)).mean(),
    r"(?P<figure>average_precision)_macro\.torchmetrics": lambda c, m: np.nanmean(_per_class(c, m)),
    r"medmnist\.AUC( \(.*\))?": lambda c, _: _auc(c),
    r"medmnist\.ACC( \(.*\))?": lambda c, _: decisions.accuracy(_counts(c)),
    r"log_loss\.sklearn": lambda c, _: calibration.log_loss(c["label"], c["probability"]),
    r"brier(_sum_over_classes|\.sklearn)": lambda c, _: calibration.brier_classes(c["label"], c["probability"]),
    r"ece(\d+)_top_label\.own \(bins right-closed\)": lambda c, m: own_bins(*_top_label(c), int(m[1])).expected_error,
    r"mce(\d+)_top_label\.own": lambda c, m: own_bins(*_top_label(c), int(m[1])).maximum_error,
    r"ece(\d+)_top_label\.torchmetrics": lambda c, m: torchmetrics_bins(*_top_label(c), int(m[1])).expected_error,
    r"mce(\d+)_top_label\.torchmetrics": lambda c, m: torchmetrics_bins(*_top_label(c), int(m[1])).maximum_error,
}
