"""Which figure of each case a metric is the mean of, from the rows of cases.csv."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medvid.evaluation.metrics.of_labels import THRESHOLD
from medvid.plugin.info import UNKNOWN
from medvid.studies.rows import Row, key_of, kind_of, number
from medvid.studies.videos import figures_of_videos

_LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Figures:
    """A figure of each case, or frame, and name.

    Args:
        keys: of the cases, or frames, (N,); of videos where the figure is of a video's frames together.
        names: of labels, classes or values (M,); ("",) where the figure is of the case as a whole.
        values: (N, M), NaN where it is not defined.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray

    def at(self, keys: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """The values of these cases and names, NaN where there are none."""
        rows, columns = ({key: place for place, key in enumerate(of)} for of in (self.keys, self.names))
        found = np.full((len(keys), len(names)), np.nan)
        ours = [(place, rows[key]) for place, key in enumerate(keys) if key in rows]
        theirs = [(place, columns[name]) for place, name in enumerate(names) if name in columns]
        if ours and theirs:
            (to, of), (into, out) = zip(*ours, strict=True), zip(*theirs, strict=True)
            found[np.ix_(to, into)] = self.values[np.ix_(of, out)]
        return found


def figures_of(rows: Sequence[Row], metric: str) -> Figures | None:
    """The figures that a metric is the mean of, over cases and then over names.

    Args:
        rows: of one cases.csv, or of several folds of one model.
        metric: ``dice``, or that of one name, ``dice/liver``.

    Returns:
        None where the metric is not such a mean, as AUROC, or there is no such metric.
    """
    column, _, name = metric.partition("/")
    kind = kind_of(rows)
    if kind in ("masks", "maps"):
        found = _of_masks(rows, column, "label" if kind == "masks" else "value")
    elif kind == "class":
        found = _of_classes(rows, column, by_name=bool(name))
    else:
        found = _of_entries(rows, column, "probability" if kind == "labels" else "prediction")
    if found is None or not name:
        return found
    if name not in found.names:
        return None
    return Figures(found.keys, (name,), found.at(found.keys, [name]))


def _of_masks(rows: Sequence[Row], column: str, named: str) -> Figures | None:
    if column not in rows[0]:
        return None
    keys, names = (tuple(dict.fromkeys(of)) for of in (map(key_of, rows), (row[named] for row in rows)))
    places, columns = ({key: place for place, key in enumerate(of)} for of in (keys, names))
    values = np.full((len(keys), len(names)), np.nan)
    for row in rows:
        values[places[key_of(row)], columns[row[named]]] = number(row[column])
    return Figures(keys, names, values)


def _of_classes(rows: Sequence[Row], column: str, *, by_name: bool) -> Figures | None:
    known = [row for row in rows if int(row["label_id"]) != UNKNOWN]
    keys = tuple(map(key_of, known))
    if column == "mean_class" or (column == "top1" and by_name):
        names = tuple(dict(sorted((int(row["label_id"]), row["label"]) for row in known)).values())
        of = np.array([[row["label"] == name for name in names] for row in known]).reshape(-1, len(names))
        return Figures(keys, names, np.where(of, _right(known)[:, None], np.nan))
    if (of_videos := figures_of_videos(rows, column)) is not None:
        return Figures(*of_videos)
    if column not in _OF_CLASSES or (column == "brier" and not probabilities_in(rows)):
        return None
    return Figures(keys, ("",), _OF_CLASSES[column](known).reshape(-1, 1))


def _right(rows: Sequence[Row]) -> np.ndarray:
    return np.array([row["rank"] == "1" for row in rows], np.float64)


def _brier(rows: Sequence[Row]) -> np.ndarray:
    columns = probabilities_in(rows)
    p = np.array([[number(row[column]) for column in columns] for row in rows]).reshape(-1, len(columns))
    true = np.eye(len(columns))[[int(row["label_id"]) for row in rows]]
    squared = (p - true) ** 2
    return squared[:, 1] if len(columns) == 2 else squared.sum(axis=1)


_OF_CLASSES: Mapping[str, Callable[[Sequence[Row]], np.ndarray]] = {
    "top1": _right,
    "top5": lambda rows: np.array([int(row["rank"]) <= 5 for row in rows], np.float64),
    "log_loss": lambda rows: (
        -np.log(np.array([number(row["probability_true"]) for row in rows]).clip(_LEAST, 1 - _LEAST))
    ),
    "brier": _brier,
}


def _of_entries(rows: Sequence[Row], column: str, answer: str) -> Figures | None:
    of = {"probability": _OF_LABELS, "prediction": _OF_VALUES}[answer]
    if column not in of:
        return None
    names = tuple(column.removeprefix("truth/") for column in rows[0] if column.startswith("truth/"))
    truth, answers = entries(rows, "truth", names), entries(rows, answer, names)
    return Figures(tuple(map(key_of, rows)), names, of[column](truth, answers))


_OF_LABELS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "brier": lambda truth, p: (p - truth) ** 2,
    "sensitivity": lambda truth, p: np.where(truth == 1, p > THRESHOLD, np.nan),
    "specificity": lambda truth, p: np.where(truth == 0, p <= THRESHOLD, np.nan),
}
_OF_VALUES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mae": lambda truth, found: np.abs(found - truth),
    "bias": lambda truth, found: found - truth,
}


def entries(rows: Sequence[Row], kind: str, names: Sequence[str]) -> np.ndarray:
    """The cells ``<kind>/<name>`` (rows, names)."""
    cells = [[number(row[f"{kind}/{name}"]) for name in names] for row in rows]
    return np.array(cells, np.float64).reshape(-1, len(names))


def probabilities_in(rows: Sequence[Row]) -> list[str]:
    """The columns of probabilities, in the order of classes; none where there are too many classes."""
    return [column for column in rows[0] if column.startswith("probability/")]
