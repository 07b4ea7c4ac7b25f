"""Tables of answers and of the truth, row by row of the same cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from unicodedata import normalize

from medvid.data.tables.columns import PATHS, Row, Table
from medvid.errors import DataError
from medvid.sentences import listed

NAMES = ("case", "id", *PATHS)
"""What a column of case names is usually called; the first of these that a table has is taken."""


@dataclass(frozen=True, slots=True)
class TablePair:
    """A case in both tables.

    Args:
        case: its name in the truth.
        answer: its row of answers.
        truth: its row of the truth.
    """

    case: str
    answer: Row
    truth: Row


def pair_rows(answers: Table, true: Table, *, common: bool) -> tuple[list[TablePair], list[str]]:
    """Match cases by their names, else by the names of their files without folders and endings.

    Args:
        answers: the one table.
        true: the other.
        common: keep what both have, and say what one of them lacks; else that is refused.

    Returns:
        The cases in the order of the truth, and what has to be said.

    Raises:
        DataError: a table does not name its cases, names one twice, or lacks one.
    """
    theirs = _by_name(true)
    ours = _by_name(answers)
    notes = []
    if not set(ours) & set(theirs):
        ours, theirs = _by_file(answers, ours), _by_file(true, theirs)
        notes.append("cases are matched by the names of their files, without folders and endings")
    both = [case for case in theirs if case in ours]
    lacking = {
        path: missing
        for path, missing in (
            (answers.path, [case for case in theirs if case not in ours]),
            (true.path, [case for case in ours if case not in theirs]),
        )
        if missing
    }
    said = [f"{path} lacks cases ({len(missing)}): {listed(missing)}" for path, missing in lacking.items()]
    if said and (not both or not common):
        raise DataError(
            "; ".join(said), hint="score what both have with --common" if both else "compare the names of the cases"
        )
    return [TablePair(_name(theirs[case], true), ours[case], theirs[case]) for case in both], [*notes, *said]


def _by_name(table: Table) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in table.rows:
        name = _name(row, table)
        if name in rows:
            raise DataError(f"{table.path}:{row.line}: {name} is named in line {rows[name].line} already")
        rows[name] = row
    return rows


def _by_file(table: Table, rows: Mapping[str, Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for name, row in rows.items():
        short = PurePosixPath(name).name.split(".")[0]
        if short in found:
            raise DataError(
                f"{table.path}: lines {found[short].line} and {row.line} are of files {short!r} in two folders",
                hint="name the cases alike in both tables",
            )
        found[short] = row
    return found


def _name(row: Row, table: Table) -> str:
    column = next((one for name in NAMES for one in table.columns if one.casefold() == name), None)
    if column is None:
        raise DataError(
            f"{table.path} has no column that names the cases; it has {listed(table.columns)}",
            hint="call it case or path",
        )
    return normalize("NFC", row.cells[column].replace("\\", "/").rstrip("/"))
