"""Figures of maps of values: of each case over its voxels, and then over cases. Nothing but plain values, no torch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medvid.evaluation.metrics import regression
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Figure

FIGURES = (
    Figure(
        "mae",
        "MAE",
        3,
        "MAE is the mean of |prediction - truth| over the voxels of a case, in the value's unit",
        better="lower",
    ),
    Figure(
        "rmse",
        "RMSE",
        3,
        "RMSE is the root of the mean of (prediction - truth)^2 over the voxels of a case",
        better="lower",
    ),
    Figure("bias", "bias", 3, "bias is the mean of prediction - truth over the voxels of a case"),
    Figure("max_error", "max error", 3, "max error is the largest |prediction - truth| of a case", better="lower"),
)
R2 = Figure(
    "r2",
    "R2",
    3,
    "R2 is 1 - SS_res / SS_tot over the voxels of all cases together, not defined for constants",
    better="higher",
)

Rows = Sequence[Mapping[str, Any]]


def row_of(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The figures of a value in a case, over the voxels where it is both known and predicted.

    Args:
        prediction: (*S), NaN where nothing is predicted.
        truth: (*S), NaN where it is not known.

    Returns:
        All `FIGURES`, NaN without such a voxel; and what `r2` needs: number of voxels, mean and standard deviation of
        the truth. Then the voxels that are left out: unknown, and known but not predicted.
    """
    known, predicted = ~np.isnan(truth), ~np.isnan(prediction)
    both = known & predicted
    true, found = truth[both].astype(np.float64), prediction[both].astype(np.float64)
    difference = found - true
    return {
        "mae": regression.mean_absolute_error(true, found),
        "rmse": regression.root_mean_squared_error(true, found),
        "bias": float(difference.mean()) if len(true) else math.nan,
        "max_error": float(np.abs(difference).max()) if len(true) else math.nan,
        "voxels": len(true),
        "mean_true": float(true.mean()) if len(true) else math.nan,
        "sd_true": float(true.std()) if len(true) else math.nan,
        "voxels_unknown": int((~known).sum()),
        "voxels_unpredicted": int((known & ~predicted).sum()),
    }


def r2(rows: Rows) -> float:
    """R2 over the voxels of all cases, from the rows of one value; NaN where the truth is constant."""
    scored = [row for row in rows if row["voxels"]]
    total = sum(row["voxels"] for row in scored)
    if not total:
        return math.nan
    centre = math.fsum(row["voxels"] * row["mean_true"] for row in scored) / total
    spread = math.fsum(row["voxels"] * (row["sd_true"] ** 2 + (row["mean_true"] - centre) ** 2) for row in scored)
    error = math.fsum(row["voxels"] * row["rmse"] ** 2 for row in scored)
    return 1 - error / spread if spread > 0 else math.nan


def summarise(rows: Rows, names: Sequence[str], units: Sequence[str]) -> dict[str, float]:
    """Each figure's mean over cases by value, ``mae/<value>``, and over values, ``mae``, if they have one unit.

    R2 has no unit, and is not a mean over cases: see `r2`.
    """
    by_value = {name: [row for row in rows if row["value"] == name] for name in names}
    metrics: dict[str, float] = {}
    for figure in (*FIGURES, R2):
        found = {name: _over_cases(figure, of_value) for name, of_value in by_value.items()}
        if figure is R2 or len(set(units)) == 1:
            metrics[figure.column] = mean(found.values())
        metrics |= {f"{figure.column}/{name}": value for name, value in found.items()}
    return metrics


def _over_cases(figure: Figure, rows: Rows) -> float:
    return r2(rows) if figure is R2 else mean(row[figure.column] for row in rows)


def left_out(rows: Rows) -> list[str]:
    """Sentences on the voxels that count in no figure, if there are any."""
    sentences = {
        "voxels_unknown": "values of voxels are not known and left out of all figures",
        "voxels_unpredicted": "known values lie outside of what dataset.crop leaves of their case, where nothing is "
        "predicted, and are left out of all figures; crop: false predicts everywhere",
    }
    counts = {column: sum(row[column] for row in rows) for column in sentences}
    return [f"{count} {sentences[column]}" for column, count in counts.items() if count]
