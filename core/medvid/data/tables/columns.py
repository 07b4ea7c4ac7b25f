"""A table of cases: a CSV file with a header, as people and programs write them."""

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path

from medvid.errors import DataError
from medvid.sentences import listed
from medvid.similar import suggest

PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name", "img"),
    *("scan", "volume", "series", "folder"),
)
"""What the column of files or folders is usually called; likewise those below."""
VIDEOS = ("video", "video_path", "video_name", "clip_path")
"""Of tables of videos, besides."""
CLASSES = ("class", "label", "diagnosis", "category", "target")
PATIENTS = ("patient", "patient_id", "patientid", "subject", "subject_id", "participant_id")
SPLITS = ("split", "subset", "partition")

_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Args:
        line: its number in the file, from 1; the last one, where a cell has line breaks.
        cells: by column, without blanks around them.
    """

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds.

    Args:
        path: the file.
        columns: the names in its header.
        rows: all lines that are not blank.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def find(self, asked: str | None, usual: Collection[str], option: str) -> str | None:
        """The name of a column as the header spells it.

        Args:
            asked: its name, whatever its capitals; None: the only one that has a usual name, if there is one.
            usual: usual names, in lower case.
            option: that asks for it, named in errors.

        Raises:
            DataError: there is no such column, or several have usual names.
        """
        wanted = {asked.strip().casefold()} if asked is not None else set(usual)
        found = [column for column in self.columns if column.casefold() in wanted]
        if len(found) > 1:
            raise DataError(f"{self.path} has the columns {listed(found)}", hint=f"say which one: set dataset.{option}")
        if asked is not None and not found:
            raise DataError(
                f"{self.path} has no column {asked!r}{suggest(asked, self.columns)}; it has {listed(self.columns)}",
                hint=f"correct dataset.{option}",
            )
        return found[0] if found else None


def read_table(path: Path) -> Table:
    """Read a CSV file: UTF-8 with or without a mark at its beginning, lines ending in any way, cells in quotes or not.

    Cells are separated by commas, semicolons or tabs: by what gives the header the most columns.

    Raises:
        DataError: it cannot be read, its header names a column twice, or lines have other numbers of cells.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"the table {path} cannot be read: {error.strerror}", hint="set dataset.table") from None
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)  # options, data set and checks all ask for it
def _read(path: Path, size: int, changed: int) -> Table:  # noqa: ARG001 (another file has others)
    return parse_table(path, text_of(path, "dataset.table"))


def parse_table(path: Path, text: str) -> Table:
    """As `read_table`, from what stands in the file."""
    separator = max(_SEPARATORS, key=lambda one: len(next(csv.reader([_header(text)], delimiter=one), [])))
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}", hint="close the quotation marks of the cell") from None
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if len(lines) < 2:
        raise DataError(f"{path} has no lines below a header", hint="it needs a header, and a line for each case")
    (_, header), *body = lines
    columns = _columns(path, header)
    return Table(path, columns, tuple(Row(number, _cells(path, number, cells, columns)) for number, cells in body))


def _header(text: str) -> str:
    return next(iter(text.splitlines()), "")


def text_of(path: Path, option: str) -> str:
    """The text of a file in UTF-8, without a mark at its beginning.

    Args:
        path: the file.
        option: that names it, for the hint of an error.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint=f"set {option}") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16", hint="save it again as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8", hint="save it again as CSV in UTF-8") from None


def _columns(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    columns = [name for name in header if name]
    if twice := [name for name, count in Counter(name.casefold() for name in columns).items() if count > 1]:
        raise DataError(f"{path}:1: columns are named twice: {listed(twice)}", hint="give each its own name")
    return tuple(header)


def _cells(path: Path, number: int, cells: list[str], columns: tuple[str, ...]) -> dict[str, str]:
    given = cells[: len(columns)] if not any(cells[len(columns) :]) else cells  # lines may end in commas
    if len(given) != len(columns):
        raise DataError(
            f"{path}:{number}: {len(given)} cells, the header has {len(columns)}",
            hint='put cells that hold the separator in quotation marks: "Smith, J.png"',
        )
    return {name: cell for name, cell in zip(columns, given, strict=True) if name}
