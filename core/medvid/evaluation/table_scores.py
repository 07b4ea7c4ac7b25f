"""Tables of answers scored against tables of the truth, whoever made them: the figures of cases without a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medvid.data.problems import raise_together
from medvid.data.tables.cells import class_of, finding_of, value_of
from medvid.data.tables.columns import CLASSES, PATIENTS, Row, Table, read_table
from medvid.data.tables.lists import class_names
from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.table_pairs import NAMES, TablePair, pair_rows
from medvid.plugin.specs import What
from medvid.sentences import listed


@dataclass(frozen=True, slots=True)
class TableScores:
    """What two tables say of each other.

    Args:
        names: of the classes, labels or values.
        cases: that were scored.
        found: their figures.
        notes: on what was left out, and how cases were matched.
    """

    names: tuple[str, ...]
    cases: tuple[str, ...]
    found: TargetFigures
    notes: tuple[str, ...]


def score_tables(
    predictions: Path, truth: Path, what: What, columns: Sequence[str] = (), *, common: bool = False, resamples: int = 0
) -> TableScores:
    """Score a table of answers, as `platform predict` writes it, against a table of the truth.

    Answers are probabilities, in a column for each class or label, or values, whose column may end in a
    unit: ``age (years)``.

    Args:
        predictions: CSV file.
        truth: CSV file; an empty cell is unknown.
        what: what both hold.
        columns: of the truth: the one of the class, or those of labels or values. Default: the one with a usual name,
            or all that both tables have.
        common: score the cases that both have, and say what one of them lacks; else that is refused.
        resamples: of patients, or of cases where the truth names no patients, for intervals; 0: none.

    Raises:
        ConfigError: it is unclear which columns are meant.
        DataError: a table cannot be read, a cell is wrong, or cases of one are missing in the other.
    """
    answers, true = read_table(predictions), read_table(truth)
    pairs, notes = pair_rows(answers, true, common=common)
    patient = true.find(None, PATIENTS, "patient_column")
    patients = np.array([pair.truth.cells[patient] for pair in pairs]) if patient else None
    tables = _Tables(answers, true, pairs, columns, Resampling(patients, resamples) if resamples else None)
    names, found, said = {"class": tables.classes, "labels": tables.labels, "value": tables.values}[what]()
    return TableScores(names, tuple(tables.cases), found, (*notes, *said, *found.notes))


Scored = tuple[tuple[str, ...], TargetFigures, list[str]]
"""Names of classes, labels or values, their figures, and what has to be said."""


@dataclass(frozen=True, slots=True)
class _Tables:
    answers: Table
    true: Table
    pairs: Sequence[TablePair]
    columns: Sequence[str]
    resampling: Resampling | None

    @property
    def cases(self) -> list[str]:
        return [pair.case for pair in self.pairs]

    def classes(self) -> Scored:
        column = self._class_column()
        names = class_names(self.true, column)
        if missing := [name for name in names if name not in self.answers.columns]:
            raise DataError(
                f"{self.answers.path} has no column of probabilities for {listed(missing)}; it has "
                f"{listed(self.answers.columns)}",
                hint="a column for each class, named like it, as platform predict writes them",
            )
        own = {*NAMES, *PATIENTS, "predicted", *names}
        absent = [name for name in self.answers.columns if name and name.casefold() not in own and name not in names]
        notes = [f"classes without a case in {self.true.path}: {listed(absent)}"] if absent else []
        names = (*names, *absent)
        ids = {name: number for number, name in enumerate(names)}
        truth = self._truth([column], lambda cell: class_of(cell, ids))[:, 0].astype(np.int64)
        answers = self._answers(names)
        found = figures_of_classes(answers, truth, names, cases=self.cases, resampling=self.resampling)
        return names, found, notes

    def labels(self) -> Scored:
        given = _shared(self.answers, self.true, self.columns)
        truth = self._truth([*given], lambda cell: finding_of(cell, "ignore", "ignore")).astype(np.int64)
        answers, names = self._answers([*given.values()]), tuple(given)
        return names, figures_of_labels(answers, truth, names, cases=self.cases, resampling=self.resampling), []

    def values(self) -> Scored:
        given = _shared(self.answers, self.true, self.columns)
        truth, answers = self._truth([*given], value_of), self._answers([*given.values()])
        names, units = tuple(map(_without_unit, given)), _units(given)
        found = figures_of_values(answers, truth, names, units, cases=self.cases, resampling=self.resampling)
        return names, found, []

    def _class_column(self) -> str:
        if len(self.columns) > 1:
            raise ConfigError(f"a class stands in one column, not in {listed(self.columns)}", hint="or: --what labels")
        column = self.true.find(self.columns[0] if self.columns else None, CLASSES, "class_column")
        if column is None:
            raise ConfigError(
                f"{self.true.path} has no column of classes by a usual name; it has {listed(self.true.columns)}",
                hint="name it: --columns NAME; or say what is scored: --what labels, --what value",
            )
        return column

    def _truth(self, columns: Sequence[str], read: Callable[[str], float]) -> np.ndarray:
        return _cells(self.true, [pair.truth for pair in self.pairs], columns, read)

    def _answers(self, columns: Sequence[str]) -> np.ndarray:
        return _cells(self.answers, [pair.answer for pair in self.pairs], columns, value_of)


def _shared(answers: Table, true: Table, columns: Sequence[str]) -> dict[str, str]:
    """The column of answers for each column of the truth; answers may have a unit behind their name."""
    own = {*NAMES, *PATIENTS}
    by_name = {_without_unit(column): column for column in answers.columns if column.casefold() not in own}
    wanted = list(columns) or [column for column in true.columns if _without_unit(column) in by_name]
    if not wanted:
        raise ConfigError(f"{answers.path} and {true.path} have no columns in common", hint="name them: --columns a,b")
    for column in wanted:
        if column not in true.columns or _without_unit(column) not in by_name:
            path, table = (true.path, true) if column not in true.columns else (answers.path, answers)
            raise DataError(
                f"{path} has no column {column!r}; it has {listed(table.columns)}", hint="correct --columns"
            )
    given = {column: by_name[_without_unit(column)] for column in wanted}
    for one, other in given.items():
        if _unit(one) and _unit(other) and _unit(one) != _unit(other):
            raise DataError(
                f"{true.path} has {one!r}, {answers.path} has {other!r}", hint="convert one to the other's unit"
            )
    return given


def _units(given: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_unit(one) or _unit(other) for one, other in given.items())


def _unit(column: str) -> str:
    return column.rpartition(" (")[2].removesuffix(")") if column.endswith(")") and " (" in column else ""


def _without_unit(column: str) -> str:
    return column.removesuffix(f" ({_unit(column)})")


def _cells(table: Table, rows: Sequence[Row], columns: Sequence[str], read: Callable[[str], float]) -> np.ndarray:
    """The cells of columns as numbers (rows, columns) float64."""
    problems = []
    found = np.full((len(rows), len(columns)), np.nan)
    for number, row in enumerate(rows):
        for place, column in enumerate(columns):
            try:
                found[number, place] = read(row.cells[column])
            except ValueError as error:
                problems.append(DataError(f"{table.path}:{row.line}: column {column}: {error}", hint="correct it"))
    raise_together(problems, f"cells of {table.path} cannot be used")
    return found
