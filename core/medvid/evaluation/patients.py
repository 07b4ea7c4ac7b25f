"""Figures of patients, from the rows of all their cases: as an ejection fraction, which needs two phases."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.regression import bland_altman, mean_absolute_error, pearson

PATIENT = "patient"
Rows = Sequence[Mapping[str, Any]]

DEFINITION = (
    "of figures of patients, r is Pearson's correlation of predicted and true ones, bias the mean of predicted less "
    "true with its standard deviation, MAE the mean of the difference without its sign"
)


@dataclass(frozen=True, slots=True)
class PatientFigure:
    """A figure of a patient.

    Args:
        figure: its column in patients.csv and among the metrics, its heading with the unit, and its definition.
        of: its true and its predicted value, from the rows of the patient; NaN where it is not defined.
        needs: columns that rows have to have.
    """

    figure: Figure
    of: Callable[[Rows], tuple[float, float]]
    needs: tuple[str, ...]


def patient_rows(rows: Rows, figures: Iterable[PatientFigure]) -> list[dict[str, Any]]:
    """A row per patient, with each figure as ``<column>_true`` and ``<column>_predicted``.

    Returns:
        No rows where those of the cases do not name patients, or lack what figures need.
    """
    shown = [one for one in figures if rows and {PATIENT, *one.needs} <= rows[0].keys()]
    patients: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows if shown else ():
        patients.setdefault(row[PATIENT], []).append(row)
    found = []
    for patient, own in patients.items():
        pairs = {one.figure.column: one.of(own) for one in shown}
        values = {
            f"{column}_{side}": value
            for column, pair in pairs.items()
            for side, value in zip(_SIDES, pair, strict=True)
        }
        found.append({PATIENT: patient, **values})
    return found


def patient_metrics(patients: Rows, figures: Iterable[PatientFigure]) -> dict[str, float]:
    """How predicted and true figures agree: ``<column>/mae``, ``/bias``, ``/sd`` and ``/pearson``."""
    return {
        f"{one.figure.column}/{name}": value
        for one in figures
        if (sides := _sides(patients, one)) is not None
        for name, value in _agreement(*sides).items()
    }


def patient_notes(patients: Rows, figures: Sequence[PatientFigure]) -> list[str]:
    """A sentence on each figure, and what they mean."""
    notes = []
    for one in figures:
        if (sides := _sides(patients, one)) is None:
            continue
        found = _agreement(*sides)
        said = {name: one.figure.text(value) for name, value in found.items()}
        left_out = len(patients) - len(sides[0])
        notes.append(
            f"{one.figure.heading}, {len(sides[0])} patients: r {_text(found['pearson'])}, bias {said['bias']} "
            f"(sd {said['sd']}), MAE {said['mae']}" + f"; not defined for {left_out} others" * bool(left_out)
        )
    shown = [one.figure.definition for one in figures if notes and one.figure.definition]
    return [*notes, *([DEFINITION, *dict.fromkeys(shown)] if notes else [])]


_SIDES = ("true", "predicted")


def _sides(patients: Rows, one: PatientFigure) -> tuple[np.ndarray, np.ndarray] | None:
    """True and predicted values of the patients for whom both are defined; None where no row has them."""
    columns = [f"{one.figure.column}_{side}" for side in _SIDES]
    if not patients or columns[0] not in patients[0]:
        return None
    values = np.array([[row[column] for column in columns] for row in patients], dtype=np.float64)
    true, predicted = values[np.isfinite(values).all(axis=1)].T
    return true, predicted


def _agreement(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    compared = bland_altman(true, predicted)
    return {
        "mae": mean_absolute_error(true, predicted),
        "bias": compared.bias,
        "sd": compared.sd,
        "pearson": pearson(true, predicted),
    }


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
