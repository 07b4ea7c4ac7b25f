"""From a table to cases with their answers."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from unicodedata import normalize

from medvid.data.listing import find_spelled, identity
from medvid.data.problems import raise_together
from medvid.data.tables.cells import Uncertain, class_of, finding_of, is_missing, split_of, value_of
from medvid.data.tables.columns import PATHS, PATIENTS, SPLITS, Row, Table
from medvid.data.tables.index import Answer, AnsweredCase, AnswerIndex
from medvid.errors import DataError
from medvid.sentences import listed

Value = TypeVar("Value")
Read = Callable[[Row], Answer]
"""From a row to the answer of its case. Raises ValueError, with the end of a sentence, for a cell that is wrong."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a table has what is not an answer: names of columns, or None for the usual ones.

    Args:
        root: the folder to which paths are relative.
        path: of files or folders.
        patient: of patients.
        split: of splits.
        files: paths by the names that stand in the table, where these are not relative to the root.
        suffixes: of files that the table may name without them.
        usual: what the column of paths is usually called.
    """

    root: Path
    path: str | None = None
    patient: str | None = None
    split: str | None = None
    files: Mapping[str, Path] | None = None
    suffixes: tuple[str, ...] = ()
    usual: tuple[str, ...] = PATHS

    def find(self, name: str, known: dict[Path, dict[str, Path]]) -> Path:
        """The file or folder that a table names; `known` as of `medvid.data.listing.find_spelled`.

        Raises:
            ValueError: without a suffix, it names several files.
        """
        if self.files is not None:
            return self.files.get(name, self.root / name)
        path = find_spelled(self.root / name, known)
        if path.is_file() or not self.suffixes:
            return path
        files = [find_spelled(path.with_name(path.name + suffix), known) for suffix in self.suffixes]
        named = [file for file in files if file.is_file()]
        if len(named) > 1:
            raise ValueError(f"{name} could be {listed([file.name for file in named])}")
        return named[0] if named else path


def class_names(table: Table, column: str) -> tuple[str, ...]:
    """The classes in a column: numbers by size, else by the alphabet.

    Raises:
        DataError: the column is empty.
    """
    names = {row.cells[column] for row in table.rows if row.cells[column]}
    check_filled(table, [column])
    return in_order(names)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes or labels: numbers by size, else by the alphabet."""
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def read_classes(column: str, names: Sequence[str] | Mapping[str, int]) -> Read:
    """How rows say a class.

    Args:
        column: of the classes.
        names: by id; or the id that each word in the column means.
    """
    ids = names if isinstance(names, Mapping) else {name: number for number, name in enumerate(names)}
    return lambda row: explained(column, partial(class_of, row.cells[column], ids))


def read_findings(
    columns: Sequence[str], uncertain: Callable[[str], Uncertain], blank: Literal["ignore", "zeros"]
) -> Read:
    """How rows say findings, one column each."""
    return lambda row: tuple(
        explained(column, partial(finding_of, row.cells[column], uncertain(column), blank)) for column in columns
    )


def read_values(columns: Sequence[str]) -> Read:
    """How rows say values, one column each."""
    return lambda row: tuple(explained(column, partial(value_of, row.cells[column])) for column in columns)


def index_table(table: Table, layout: Layout, columns: Sequence[str], read: Read) -> AnswerIndex:
    """The cases of a table.

    Args:
        table: the table.
        layout: of its other columns.
        columns: of the answers; none may be empty throughout.
        read: how a row says its answer.

    Raises:
        DataError: all cells that are wrong, by line; paths that are named twice, or do not exist.
    """
    path = table.find(layout.path, layout.usual, "path_column")
    if path is None:
        raise DataError(
            f"{table.path} has no column of paths by a usual name; it has {listed(table.columns)}",
            hint="name it: dataset.path_column",
        )
    patient = table.find(layout.patient, PATIENTS, "patient_column")
    split = table.find(layout.split, SPLITS, "split_column")
    check_filled(table, [*columns, *([split] if split else [])])
    cases, splits, problems = {}, defaultdict[str, list[str]](list), []
    lines: dict[Hashable, int] = {}
    known: dict[Path, dict[str, Path]] = {}
    for row in table.rows:
        try:
            case = _case(row, path, layout, known, read(row), row.cells[patient] if patient else "")
            file = identity(case.path)
            if file in lines:
                raise ValueError(f"{case.id} is named in line {lines[file]} already")
            if split:
                splits[explained(split, partial(split_of, row.cells[split]))].append(case.id)
            lines[file], cases[case.id] = row.line, case
        except ValueError as error:
            hint = "correct the table, or take the line out"
            problems.append(DataError(f"{table.path}:{row.line}: {error}", hint=hint))
    raise_together(problems, f"lines of {table.path} cannot be used")
    return AnswerIndex(cases, {name: tuple(splits[name]) for name in ("train", "validation", "test") if splits[name]})


def _case(
    row: Row, column: str, layout: Layout, known: dict[Path, dict[str, Path]], answer: Answer, patient: str
) -> AnsweredCase:
    text = normalize("NFC", row.cells[column].replace("\\", "/").rstrip("/"))
    if not text:
        raise ValueError(f"column {column} is empty")
    found = layout.find(text, known)
    if not found.exists():
        raise ValueError(f"{found} does not exist")
    return AnsweredCase(text, found, answer, patient)


def check_filled(table: Table, columns: Sequence[str]) -> None:
    """Refuse columns in which no line has anything.

    Raises:
        DataError: naming them.
    """
    if empty := [column for column in columns if all(is_missing(row.cells[column]) for row in table.rows)]:
        raise DataError(f"{table.path}: nothing stands in {_columns(empty)}", hint="leave them out, or fill them in")


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {listed(names)}"


def explained(column: str, read: Callable[[], Value]) -> Value:
    """What a cell says, or an error that names its column."""
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"column {column}: {error}") from None
