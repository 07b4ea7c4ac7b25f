"""What tables of answers and of the truth hold: classes, labels or values of cases, or of frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medvid.data.framed import PLACES
from medvid.data.problems import raise_together
from medvid.data.tables.cells import class_of, finding_of, value_of
from medvid.data.tables.columns import CLASSES, PATIENTS, Row, Table
from medvid.data.tables.lists import class_names, in_order
from medvid.data.tables.several import blank_note, listed_names, read_listed, separator_of
from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.table_pairs import NAMES, TablePair, frame_column
from medvid.evaluation.videos import Video
from medvid.plugin.info import UNKNOWN
from medvid.sentences import listed

PREDICTED = "predicted"
"""The column of answers that are classes, as platform predict writes it."""
_APART = 0.01
"""Seconds by which two tables may round a time apart."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What was read, and its figures.

    Args:
        names: of the classes, labels or values.
        units: of the values.
        answers: probabilities or values (N, names); None where there are classes alone.
        predicted: ids of the answers (N,), of classes.
        truth: ids (N,), or (N, names).
        found: the figures, where answers are numbers.
        notes: what has to be said.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    answers: np.ndarray | None
    predicted: np.ndarray | None
    truth: np.ndarray
    found: TargetFigures | None
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Tables:
    """A table of answers and one of the truth, row by row of the same.

    Args:
        answers: the one.
        true: the other.
        pairs: their rows.
        columns: of the truth that are asked for, if any are.
        given: names of classes, if they are given.
        resampling: for intervals, if they are asked for.
    """

    answers: Table
    true: Table
    pairs: Sequence[TablePair]
    columns: Sequence[str]
    given: Sequence[str]
    resampling: Resampling | None

    @property
    def frame(self) -> str | None:
        """The column of frames, see `frame_column`."""
        return frame_column(self.answers, self.true)

    @property
    def cases(self) -> list[str]:
        """What rows are of, for errors."""
        return [pair.case if pair.frame is None else f"{pair.case} {self.frame} {pair.frame}" for pair in self.pairs]

    @property
    def counted(self) -> str:
        """What has a row."""
        return "frames" if self.frame else "cases"

    def classes(self) -> Scored:
        """A class per row."""
        column = self._class_column()
        own = {*NAMES, *PATIENTS, *PLACES, *PLACES.values(), PREDICTED}
        columns = [name for name in self.answers.columns if name and name.casefold() not in own]
        notes = []
        names = tuple(self.given) or class_names(self.true, column)
        if not set(columns) & set(names) and PREDICTED in self.answers.columns:
            return self._decided(column, names)
        self._require_columns(names, "class")
        if absent := [] if self.given else [name for name in columns if name not in names]:
            notes = [f"classes without a case in {self.true.path}: {listed(absent)}"]
        if not self.given:
            names = tuple(columns) if self.frame else (*names, *absent)
        truth = self._ids(self.true, column, names)
        answers = self._answers(names)
        found = figures_of_classes(
            answers, truth, names, cases=self.cases, counted=self.counted, resampling=self.resampling
        )
        return Scored(names, (), answers, answers.argmax(axis=1), truth, found, notes)

    def _decided(self, column: str, names: tuple[str, ...]) -> Scored:
        """Answers that are classes alone: there are the figures of a protocol, and no others."""
        if not self.given:
            names = in_order({*names, *(pair.answer.cells[PREDICTED] for pair in self.pairs)})
        predicted = self._ids(self.answers, PREDICTED, names)
        if lacking := [pair.answer.line for pair, one in zip(self.pairs, predicted, strict=True) if one == UNKNOWN]:
            raise DataError(f"{self.answers.path}:{lacking[0]}: column {PREDICTED} is empty", hint="name the answer")
        notes = [f"{self.answers.path} has no probabilities: there are only the figures of decided classes"]
        return Scored(names, (), None, predicted, self._ids(self.true, column, names), None, notes)

    def videos(self, truth: np.ndarray, predicted: np.ndarray) -> list[Video]:
        """The videos of frames that have a class, from the ids (N,) of truth and answers."""
        times = self._times()
        frames: dict[str, list[int]] = {}
        for number, pair in enumerate(self.pairs):
            frames.setdefault(pair.case, []).append(number)
        return [
            Video.of(case, truth[own], predicted[own], None if times is None else times[own].tolist())
            for case, own in frames.items()
        ]

    def _times(self) -> np.ndarray | None:
        """When frames are shown, by the one table that says it, or by both alike."""
        time = PLACES["frame"]
        found = [
            _cells(
                table, [pair.answer if table is self.answers else pair.truth for pair in self.pairs], [time], value_of
            )
            for table in (self.answers, self.true)
            if time in table.columns
        ]
        if len(found) == 2 and (apart := np.abs(found[0] - found[1])[:, 0] > _APART).any():
            number = int(apart.argmax())
            raise DataError(
                f"{self.answers.path}:{self.pairs[number].answer.line} has {self.cases[number]} at "
                f"{found[0][number, 0]:g} s, {self.true.path}:{self.pairs[number].truth.line} at "
                f"{found[1][number, 0]:g} s",
                hint="number frames at one rate in both tables",
            )
        return found[0][:, 0] if found else None

    def labels(self) -> Scored:
        """Any of several labels per row."""
        if column := self._listed_in():
            return self._listed(column)
        given = _shared(self.answers, self.true, self.columns)
        truth = self._truth([*given], lambda cell: finding_of(cell, "ignore", "ignore")).astype(np.int64)
        answers, names = self._answers([*given.values()]), tuple(given)
        found = figures_of_labels(
            answers, truth, names, cases=self.cases, counted=self.counted, resampling=self.resampling
        )
        return Scored(names, (), answers, None, truth, found, [])

    def _listed_in(self) -> str | None:
        """The column of the truth that lists the labels of a row; None where each label has a column of its own."""
        [column] = self.columns if len(self.columns) == 1 else ("",)
        return column if column in self.true.columns and column not in self.answers.columns else None

    def _listed(self, column: str) -> Scored:
        separator = separator_of(self.true, column, None)
        found = listed_names(self.true, column, separator)
        self._require_columns(found, "label")
        own = {*NAMES, *PATIENTS, *PLACES, *PLACES.values()}
        absent = [one for one in self.answers.columns if one and one.casefold() not in own and one not in found]
        notes = [f"labels without a case in {self.true.path}: {listed(absent)}"] if absent else []
        names = (*found, *absent)
        read = read_listed(column, names, separator, "ignore")
        truth = np.array([read(pair.truth) for pair in self.pairs]).astype(np.int64)
        answers, unknown = self._answers(names), blank_note(self.true, column)
        figures = figures_of_labels(
            answers, truth, names, cases=self.cases, counted=self.counted, resampling=self.resampling
        )
        return Scored(names, (), answers, None, truth, figures, [*notes, *unknown])

    def values(self) -> Scored:
        """Values per row."""
        given = _shared(self.answers, self.true, self.columns)
        truth, answers = self._truth([*given], value_of), self._answers([*given.values()])
        names, units = tuple(map(_without_unit, given)), _units(given)
        found = figures_of_values(
            answers, truth, names, units, cases=self.cases, counted=self.counted, resampling=self.resampling
        )
        return Scored(names, units, answers, None, truth, found, [])

    def _require_columns(self, names: Sequence[str], what: str) -> None:
        if missing := [name for name in names if name not in self.answers.columns]:
            raise DataError(
                f"{self.answers.path} has no column of probabilities for {listed(missing)}; it has "
                f"{listed(self.answers.columns)}",
                hint=f"a column for each {what}, named like it, as platform predict writes them",
            )

    def _ids(self, table: Table, column: str, names: Sequence[str]) -> np.ndarray:
        ids = {name: number for number, name in enumerate(names)}
        rows = [pair.truth if table is self.true else pair.answer for pair in self.pairs]
        return _cells(table, rows, [column], lambda cell: class_of(cell, ids))[:, 0].astype(np.int64)

    def _class_column(self) -> str:
        if len(self.columns) > 1:
            raise ConfigError(f"a class stands in one column, not in {listed(self.columns)}", hint="or: --what labels")
        column = self.true.find(self.columns[0] if self.columns else None, (*CLASSES, "phase"), "class_column")
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
    own = {*NAMES, *PATIENTS, *PLACES, *PLACES.values()}
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
