"""All figures of cases that have one or several numbers each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from medvid.evaluation.metrics import regression
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.target_figures import (
    ByName,
    Resampling,
    TargetFigures,
    find_intervals,
    macro,
    notes,
    require_scorable,
)

_WITH_UNIT = (
    Figure("mae", "MAE", 3, "MAE is the mean of |prediction - truth|", better="lower"),
    Figure("rmse", "RMSE", 3, "RMSE is the root of the mean of (prediction - truth)^2", better="lower"),
    Figure("bias", "bias", 3, "bias is the mean of prediction - truth"),
    Figure("limit_low", "lower limit", 3, "limits of agreement (Bland-Altman) are bias -+ 1.96 standard deviations"),
    Figure("limit_high", "upper limit"),
)
_WITHOUT_UNIT = (
    Figure("r2", "R2", 3, "R2 is 1 - SS_res / SS_tot, not defined for one case or a constant truth", better="higher"),
    Figure(
        "pearson",
        "Pearson",
        3,
        "Pearson's correlation is not defined where truth or prediction is constant",
        better="higher",
    ),
    Figure(
        "icc",
        "ICC(2,1)",
        3,
        "ICC(2,1) is the absolute agreement of truth and prediction as two raters",
        better="higher",
    ),
)


def figures_of_values(
    predictions: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    units: Sequence[str],
    *,
    cases: Sequence[str] | None = None,
    counted: str = "cases",
    resampling: Resampling | None = None,
) -> TargetFigures:
    """Score each value over the cases in which it is known.

    The headline is the mean over values that have the figure. Where their units differ, figures that have one (MAE,
    RMSE, bias and limits) are given by value alone.

    Args:
        predictions: (N, V), in the values' units.
        truth: (N, V); NaN is not known and counts in nothing.
        names: of the V values.
        units: of the V values.
        cases: names of the cases, for errors.
        counted: what has an annotation of its own, in words: cases, or frames.
        resampling: for intervals.

    Raises:
        DataError: a prediction, or a truth that is known, is not finite, naming the case.
    """
    known = ~np.isnan(truth)
    for numbers in (predictions, truth):
        require_scorable(numbers, known, cases, within=False)
    prediction, true = predictions.astype(np.float64), truth.astype(np.float64)
    alike = len(set(units)) == 1
    figures = (*(_in_unit(figure, units[0]) if alike else figure for figure in _WITH_UNIT), *_WITHOUT_UNIT)
    headlined = {figure.column for figure in (figures if alike else _WITHOUT_UNIT)}

    def compute(indices: np.ndarray) -> tuple[Mapping[str, float], ByName]:
        chosen = [indices[known[indices, one]] for one in range(len(names))]
        of_each = [_of_one(true[index, one], prediction[index, one]) for one, index in enumerate(chosen)]
        by_name = {column: dict(zip(names, (of[column] for of in of_each), strict=True)) for column in of_each[0]}
        return {column: value for column, value in macro(by_name).items() if column in headlined}, by_name

    values, by_name = compute(np.arange(len(truth)))
    intervals = find_intervals(compute, len(truth), resampling)
    missing = int((~known).sum())
    unknown = (
        [f"{missing} of {known.size} values of {counted} are not known and left out of all figures"] if missing else []
    )
    return TargetFigures(
        figures=figures,
        values=values,
        by_name=by_name,
        known=dict(zip(names, known.sum(axis=0).tolist(), strict=True)),
        positives={},
        unknown=missing,
        notes=notes(figures, by_name, intervals, *unknown),
        intervals=intervals,
        counted=counted,
    )


def _of_one(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """The figures of one value."""
    agreement = regression.bland_altman(truth, prediction)
    low, high = agreement.limits
    return {
        "mae": regression.mean_absolute_error(truth, prediction),
        "rmse": regression.root_mean_squared_error(truth, prediction),
        "bias": agreement.bias,
        "limit_low": low,
        "limit_high": high,
        "r2": regression.r2(truth, prediction),
        "pearson": regression.pearson(truth, prediction),
        "icc": regression.intraclass_correlation(truth, prediction)[0],
    }


def _in_unit(figure: Figure, unit: str) -> Figure:
    heading = f"{figure.heading} ({unit})" if unit else figure.heading
    return replace(figure, heading=heading, unit=unit)
