"""Tables of answers and of the truth, row by row of the same cases, or frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from unicodedata import normalize

from medvid.data.framed import PLACES
from medvid.data.tables.columns import PATHS, VIDEOS, Row, Table
from medvid.errors import DataError
from medvid.sentences import alternatives, listed

NAMES = ("case", "id", *PATHS, *VIDEOS)
"""What a column of case names is usually called; the first of these that a table has is taken."""

Key = tuple[str, int | None]
"""A case, and the number of a frame or slice of it where rows are of these."""


@dataclass(frozen=True, slots=True)
class TablePair:
    """A case, or a frame of it, in both tables.

    Args:
        case: its name in the truth.
        frame: number of the frame, or slice; None where rows are of cases.
        answer: its row of answers.
        truth: its row of the truth.
    """

    case: str
    frame: int | None
    answer: Row
    truth: Row


def frame_column(answers: Table, true: Table) -> str | None:
    """The column of the numbers of frames, or slices, that both tables have; None where their rows are of cases."""
    return next((place for place in PLACES if place in answers.columns and place in true.columns), None)


def pair_rows(answers: Table, true: Table, *, common: bool) -> tuple[list[TablePair], list[str]]:
    """Match cases by their names, else by the names of their files without folders and endings; frames by number, too.

    Args:
        answers: the one table.
        true: the other.
        common: keep what both have, and say what one of them lacks; else that is refused.

    Returns:
        The cases in the order of the truth, frames of each by their numbers, and what has to be said.

    Raises:
        DataError: a table does not name its cases, names one twice, or lacks one.
    """
    frame = frame_column(answers, true)
    theirs, ours = _by_name(true, frame), _by_name(answers, frame)
    notes = []
    if not {case for case, _ in ours} & {case for case, _ in theirs}:
        ours, theirs = _by_file(answers, ours), _by_file(true, theirs)
        notes.append("cases are matched by the names of their files, without folders and endings")
    both = [key for key in theirs if key in ours]
    lacking = {
        path: missing
        for path, missing in (
            (answers.path, [_said(key, frame) for key in theirs if key not in ours]),
            (true.path, [_said(key, frame) for key in ours if key not in theirs]),
        )
        if missing
    }
    rows = "frames" if frame else "cases"
    said = [f"{path} lacks {rows} ({len(missing)}): {listed(missing)}" for path, missing in lacking.items()]
    if said and (not both or not common):
        raise DataError(
            "; ".join(said), hint="score what both have with --common" if both else "compare the names of the cases"
        )
    if frame:
        order = {case: number for number, case in enumerate(dict.fromkeys(case for case, _ in theirs))}
        both.sort(key=lambda key: (order[key[0]], key[1]))
    pairs = [TablePair(_name(theirs[key], true), key[1], ours[key], theirs[key]) for key in both]
    return pairs, [*notes, *said]


def _said(key: Key, frame: str | None) -> str:
    return key[0] if frame is None else f"{key[0]} {frame} {key[1]}"


def _by_name(table: Table, frame: str | None) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for row in table.rows:
        key = _name(row, table), _number(row, frame, table)
        if key in rows:
            raise DataError(
                f"{table.path}:{row.line}: {_said(key, frame)} is named in line {rows[key].line} already",
                hint="" if frame else f"rows of frames need a column {alternatives([*PLACES])} in both tables",
            )
        rows[key] = row
    return rows


def _number(row: Row, frame: str | None, table: Table) -> int | None:
    if frame is None:
        return None
    cell = row.cells[frame]
    try:
        if (number := float(cell)) == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise DataError(f"{table.path}:{row.line}: {frame} {cell!r} is not a whole number", hint="correct it")


def _by_file(table: Table, rows: Mapping[Key, Row]) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for (name, frame), row in rows.items():
        short = PurePosixPath(name).name.split(".")[0]
        if (short, frame) in found:
            raise DataError(
                f"{table.path}: lines {found[short, frame].line} and {row.line} are of files {short!r} in two folders",
                hint="name the cases alike in both tables",
            )
        found[short, frame] = row
    return found


def _name(row: Row, table: Table) -> str:
    column = next((one for name in NAMES for one in table.columns if one.casefold() == name), None)
    if column is None:
        raise DataError(
            f"{table.path} has no column that names the cases; it has {listed(table.columns)}",
            hint="call it case or path",
        )
    return normalize("NFC", row.cells[column].replace("\\", "/").rstrip("/"))
