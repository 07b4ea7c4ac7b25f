"""Several labels in one column of a table: ``cough; fever``."""

from collections.abc import Mapping
from functools import partial
from typing import Literal

from medvid.data.tables.cells import is_missing
from medvid.data.tables.columns import Row, Table
from medvid.data.tables.lists import Read, check_filled, explained, in_order
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.sentences import listed
from medvid.similar import suggest

SEPARATORS = ("|", ";", ",")
"""Any of these separates the labels of a cell, unless the task names another."""


def separator_of(table: Table, column: str, asked: str | None) -> str:
    """What separates the labels of a column.

    Args:
        table: the table.
        column: of the labels.
        asked: the option `labels_separator`.

    Raises:
        DataError: several of `SEPARATORS` stand in its cells.
    """
    if asked is not None:
        return asked
    found: dict[str, Row] = {}
    for row in table.rows:
        for mark in SEPARATORS:
            if mark in row.cells[column]:
                found.setdefault(mark, row)
    if len(found) > 1:
        places = listed([f"{row.cells[column]!r} (line {row.line})" for row in found.values()])
        raise DataError(
            f"{table.path}: more than one of {' '.join(SEPARATORS)} stands in column {column}: {places}",
            hint='say which one separates labels: dataset.labels_separator: ";"',
        )
    return next(iter(found), SEPARATORS[0])


def labels_in(cell: str, separator: str) -> tuple[str, ...]:
    """The labels that a cell lists, perhaps in brackets and each in quotation marks, as programs write lists."""
    inner = cell[1:-1] if cell[:1] + cell[-1:] in {"[]", "()", "{}"} else cell
    return tuple(
        bare for label in inner.split(separator if separator.strip() else None) if (bare := label.strip("'\" "))
    )


def listed_names(table: Table, column: str, separator: str) -> tuple[str, ...]:
    """All labels of a column: numbers by size, else by the alphabet.

    Raises:
        DataError: the column is empty.
    """
    check_filled(table, [column])
    return in_order({label for row in table.rows for label in labels_in(row.cells[column], separator)})


def read_listed(column: str, names: tuple[str, ...], separator: str, blank: Literal["ignore", "zeros"]) -> Read:
    """How rows list labels in a column: those that are not named are absent; of an empty cell `blank` decides."""
    ids = {name: number for number, name in enumerate(names)}

    def read(row: Row) -> tuple[float, ...]:
        cell = row.cells[column]
        if is_missing(cell):
            return (0.0 if blank == "zeros" else float(UNKNOWN),) * len(names)
        return explained(column, partial(_several_hot, labels_in(cell, separator), ids))

    return read


def _several_hot(labels: tuple[str, ...], ids: Mapping[str, int]) -> tuple[float, ...]:
    if strange := [label for label in labels if label not in ids]:
        raise ValueError(f"{listed(strange)} is not one of the labels{suggest(strange[0], [*ids])}")
    found = {ids[label] for label in labels}
    return tuple(float(number in found) for number in range(len(ids)))


def blank_note(table: Table, column: str) -> tuple[str, ...]:
    """A note on cases without labels, where these count as unknown."""
    lines = [f"line {row.line}" for row in table.rows if is_missing(row.cells[column])]
    if not lines:
        return ()
    what = f"{len(lines)} of {len(table.rows)} cases have nothing in column {column}"
    return (f"{what}, so their labels are unknown: {listed(lines)}",)
