"""Figures of all answers together, as AUROC, which are not means over cases, from the rows of cases.csv."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medvid.evaluation.metrics import value_maps
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.plugin.info import UNKNOWN
from medvid.studies.figures import entries, figures_of, probabilities_in
from medvid.studies.rows import Row, key_of, kind_of
from medvid.studies.statistics import Pooled


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a model, and what a figure needs besides.

    Args:
        keys: of the cases, or frames, (N,).
        answers: (N, K).
        truth: (N, ...).
        figure: from both.
    """

    keys: tuple[str, ...]
    answers: np.ndarray
    truth: np.ndarray
    figure: Pooled

    def at(self, keys: Sequence[str]) -> "Answers":
        """Those for some of the cases, in this order."""
        places = {key: place for place, key in enumerate(self.keys)}
        chosen = [places[key] for key in keys]
        return replace(self, keys=tuple(keys), answers=self.answers[chosen], truth=self.truth[chosen])


def answers_of(rows: Sequence[Row], metric: str) -> Answers | None:
    """The answers in rows, with the figure of a metric; None where rows do not suffice for it.

    Args:
        rows: of one cases.csv, or of several folds of one model.
        metric: ``auroc``, or that of one name, ``auroc/oedema``.
    """
    kind = kind_of(rows)
    if kind == "masks":
        return None
    found = {"maps": _of_maps, "class": _of_classes, "labels": _of_labels, "value": _of_values}[kind](rows, metric)
    if found is None:
        return None
    try:
        found.figure(found.answers, found.truth)
    except KeyError:  # a figure of a protocol's own, of patients or of groups
        return None
    return found


def _of_classes(rows: Sequence[Row], metric: str) -> Answers | None:
    columns, known = probabilities_in(rows), [row for row in rows if int(row["label_id"]) != UNKNOWN]
    if not columns:
        return None
    names = [column.removeprefix("probability/") for column in columns]
    predicted = [[names.index(row["predicted"])] for row in known]
    answers = np.hstack([entries(known, "probability", names), np.array(predicted, np.float64).reshape(-1, 1)])
    truth = np.array([int(row["label_id"]) for row in known])

    def figure(answers: np.ndarray, truth: np.ndarray) -> float:
        found = figures_of_classes(
            answers[:, :-1], truth, names, predicted=answers[:, -1].astype(np.int64), ordered="kappa_" in metric
        )
        return found.metrics[metric]

    return Answers(tuple(map(key_of, known)), answers, truth, figure)


def _of_labels(rows: Sequence[Row], metric: str) -> Answers:
    names = _names(rows)
    truth = entries(rows, "truth", names)
    known = np.where(np.isnan(truth), UNKNOWN, truth).astype(np.int64)

    def figure(answers: np.ndarray, truth: np.ndarray) -> float:
        return figures_of_labels(answers, truth, names).metrics[metric]

    return Answers(tuple(map(key_of, rows)), entries(rows, "probability", names), known, figure)


def _of_values(rows: Sequence[Row], metric: str) -> Answers:
    names = _names(rows)

    def figure(answers: np.ndarray, truth: np.ndarray) -> float:
        return figures_of_values(answers, truth, names, [""] * len(names)).metrics[metric]

    return Answers(tuple(map(key_of, rows)), entries(rows, "prediction", names), entries(rows, "truth", names), figure)


def _of_maps(rows: Sequence[Row], metric: str) -> Answers | None:
    column, _, name = metric.partition("/")
    parts = [figures_of(rows, needed) for needed in ("rmse", "voxels", "mean_true", "sd_true")]
    errors = parts[0]
    if column != value_maps.R2.column or errors is None or None in parts:
        return None
    truth = np.stack([part.values for part in parts[1:] if part], axis=-1)
    chosen = [place for place, own in enumerate(errors.names) if name in ("", own)]
    return Answers(errors.keys, errors.values[:, chosen], truth[:, chosen], _r2_of_maps) if chosen else None


def _r2_of_maps(errors: np.ndarray, truth: np.ndarray) -> float:
    """The mean over values of R2, of RMSE (N, values) and voxels, mean and sd of the truth (N, values, 3)."""
    found = []
    for value in range(errors.shape[1]):
        cells = zip(errors[:, value].tolist(), truth[:, value].tolist(), strict=True)
        rows = [{"rmse": rmse, "voxels": n, "mean_true": m, "sd_true": sd} for rmse, (n, m, sd) in cells]
        found.append(value_maps.r2(rows))
    return mean(found)


def _names(rows: Sequence[Row]) -> list[str]:
    return [column.removeprefix("truth/") for column in rows[0] if column.startswith("truth/")]
