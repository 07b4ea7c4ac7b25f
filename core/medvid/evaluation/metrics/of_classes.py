"""All figures of cases that have exactly one class each."""

from collections.abc import Mapping, Sequence

import numpy as np

from medvid.errors import DataError
from medvid.evaluation.metrics import decisions
from medvid.evaluation.metrics.calibration import brier_classes, log_loss, top_label_bins
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.positives import CALIBRATED, DECIDED, RANKED, calibrated, decided, ranked
from medvid.evaluation.metrics.target_figures import (
    ByName,
    Resampling,
    TargetFigures,
    case_name,
    find_intervals,
    macro,
    notes,
    require_scorable,
)
from medvid.plugin.info import UNKNOWN

TOP = 5
"""The k of the top-k accuracy, of targets of more classes."""

_ALL = (
    Figure(
        "accuracy", "accuracy", 3, "accuracy is the share of the cases that were given their class", better="higher"
    ),
    Figure(
        "balanced_accuracy",
        "bal. acc.",
        3,
        "balanced accuracy is the mean sensitivity of the classes with cases",
        better="higher",
    ),
    Figure(
        "kappa",
        "kappa",
        3,
        "kappa is Cohen's: agreement beyond chance, not defined where chance alone agrees",
        better="higher",
    ),
    Figure(
        "mcc",
        "MCC",
        3,
        "MCC is the correlation of truth and answer, not defined where either is one class only",
        better="higher",
    ),
    Figure("log_loss", "log loss", 3, "log loss is the mean of -ln p of the true class", better="lower"),
)
_ORDERED = (
    Figure("kappa_linear", "kappa lin.", 3, "linear kappa weighs a mistake by its distance in grades", better="higher"),
    Figure(
        "kappa_quadratic",
        "kappa quad.",
        3,
        "quadratic kappa weighs a mistake by its squared distance in grades",
        better="higher",
    ),
)
_TOP = (
    Figure(
        "top5", "top-5", 3, "top-5 is the share of the cases whose class is among the five likeliest", better="higher"
    ),
)
_MANY = (
    Figure("brier", "Brier", 3, "Brier score is the mean of the sum over classes of (p - y)^2, 0 to 2", better="lower"),
    Figure(
        "ece", "ECE", 3, "ECE is of the likeliest class's probability, with 15 equal right-closed bins", better="lower"
    ),
)


def figures_of_classes(
    probabilities: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    *,
    cases: Sequence[str] | None = None,
    counted: str = "cases",
    predicted: np.ndarray | None = None,
    ordered: bool = False,
    resampling: Resampling | None = None,
) -> TargetFigures:
    """Score cases that have one class each.

    Of two classes the second is the positive one, and figures are of it. Of more, each is scored against the rest,
    and the headline is the mean over the classes for which a figure is defined.

    Args:
        probabilities: (N, C).
        truth: ids (N,), `UNKNOWN` where a case has none and counts in nothing.
        names: of the C classes.
        cases: names of the cases, for errors.
        counted: what has an annotation of its own, in words: cases, or frames.
        predicted: ids (N,) of the answers; by default the likeliest class, of equals the first.
        ordered: whether the classes are grades, for kappas with weights.
        resampling: for intervals.

    Raises:
        DataError: a probability or an id cannot be scored, naming the case.
    """
    known = truth != UNKNOWN
    _require_ids(truth, len(names), cases)
    require_scorable(probabilities, np.broadcast_to(known[:, None], probabilities.shape), cases, within=True)
    answers = probabilities.argmax(axis=1) if predicted is None else predicted
    p, y, answer = probabilities[known].astype(np.float64), truth[known].astype(np.intp), answers[known].astype(np.intp)

    def compute(indices: np.ndarray) -> tuple[Mapping[str, float], ByName]:
        return _compute(p[indices], y[indices], answer[indices], names, ordered)

    values, by_name = compute(np.arange(len(y)))
    figures = _figures(len(names), ordered)
    intervals = find_intervals(compute, len(y), resampling and resampling.of(known))
    missing = int((~known).sum())
    unknown = [f"{missing} of {len(truth)} {counted} have no class and are left out of all figures"] if missing else []
    return TargetFigures(
        figures=figures,
        values=values,
        by_name=by_name,
        known=dict.fromkeys(names, len(y)),
        positives=dict(zip(names, np.bincount(y, minlength=len(names)).tolist(), strict=True)),
        unknown=missing,
        notes=notes(figures, by_name, intervals, _scheme(names), *unknown),
        intervals=intervals,
        counted=counted,
    )


def _compute(
    p: np.ndarray, y: np.ndarray, answer: np.ndarray, names: Sequence[str], ordered: bool
) -> tuple[Mapping[str, float], ByName]:
    values = _of_all(p, y, decisions.confusion(y, answer, len(names)), ordered)
    of_each = [decided(y == one, answer == one) | ranked(y == one, p[:, one]) for one in range(len(names))]
    if len(names) == 2:
        return values | of_each[1] | calibrated(y == 1, p[:, 1]), {}
    by_name = {column: dict(zip(names, (of[column] for of in of_each), strict=True)) for column in of_each[0]}
    return {
        **values,
        **macro(by_name),
        "brier": brier_classes(y, p),
        "ece": top_label_bins(y, p).expected_error,
    }, by_name


def _of_all(p: np.ndarray, y: np.ndarray, counts: np.ndarray, ordered: bool) -> dict[str, float]:
    values = {
        "accuracy": decisions.accuracy(counts),
        "balanced_accuracy": decisions.balanced_accuracy(counts),
        "kappa": decisions.cohen_kappa(counts),
        "mcc": decisions.matthews_correlation(counts),
        "log_loss": log_loss(y, p),
    }
    if ordered:
        values["kappa_linear"] = decisions.cohen_kappa(counts, "linear")
        values["kappa_quadratic"] = decisions.cohen_kappa(counts, "quadratic")
    if len(counts) > TOP:
        values["top5"] = decisions.top_k_accuracy(y, p, TOP)
    return values


def _figures(classes: int, ordered: bool) -> tuple[Figure, ...]:
    weighted, top = _ORDERED if ordered else (), _TOP if classes > TOP else ()
    return (*_ALL, *weighted, *top, *DECIDED, *RANKED, *(CALIBRATED if classes == 2 else _MANY))


def _scheme(names: Sequence[str]) -> str:
    if len(names) == 2:
        return f"the positive class is {names[1]}"
    return "figures of a class are of it against the rest; their means are over the classes that have the figure"


def _require_ids(truth: np.ndarray, classes: int, cases: Sequence[str] | None) -> None:
    for case in np.flatnonzero((truth != UNKNOWN) & ~((truth >= 0) & (truth < classes)))[:1].tolist():
        raise DataError(
            f"case {case_name(cases, case)}: class id {truth[case]} is not one of 0 to {classes - 1}",
            hint=f"{UNKNOWN} stands for a case without a class",
        )
