"""The rows of cases.csv as a run, an evaluation or `platform score` wrote them."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from medvid.data.framed import PLACES
from medvid.errors import ConfigError, DataError
from medvid.evaluation.patients import PATIENT

Row = Mapping[str, str]
Kind = Literal["masks", "maps", "class", "labels", "value"]
"""What a row is of: a label of a case's label map, a value of its map of values; or a case (or frame) with answers."""


def read_rows(path: Path) -> list[Row]:
    """The rows of a cases.csv.

    Raises:
        DataError: the file is missing, has no rows, or they do not name cases.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows: list[Row] = [*csv.DictReader(file, strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read: {error}", hint="evaluate the run again: platform evaluate RUN"
        ) from None
    if broken := [number for number, row in enumerate(rows, start=2) if None in row or None in row.values()]:
        raise DataError(f"{path}:{broken[0]} has another number of fields than the heading", hint="restore the file")
    if not rows or "case" not in rows[0]:
        raise DataError(
            f"{path} has no rows with a column 'case'", hint="evaluate the run again: platform evaluate RUN"
        )
    return rows


def kind_of(rows: Sequence[Row]) -> Kind:
    """What rows are of.

    Raises:
        DataError: they are not the rows of an evaluation.
    """
    columns = rows[0].keys()
    if {"label", "state"} <= columns:
        return "masks"
    if {"value", "unit"} <= columns:
        return "maps"
    if {"label_id", "predicted"} <= columns:
        return "class"
    if any(column.startswith("truth/") for column in columns):
        return "labels" if any(column.startswith("probability/") for column in columns) else "value"
    raise DataError(f"rows with the columns {', '.join(columns)} are not those of an evaluation")


def key_of(row: Row) -> str:
    """What a row is of, apart from the name of a label or value: a case, or a frame of it, as people can read it."""
    place = next((f" {place} {row[place]}" for place in PLACES if place in row), "")
    return row["case"] + place


def group_of(row: Row, pattern: re.Pattern[str] | None) -> str:
    """Whose a row is: what the pattern finds in its case, else its patient, else the case itself.

    Raises:
        ConfigError: the pattern finds nothing.
    """
    if pattern is None:
        return row.get(PATIENT) or row["case"]
    found = pattern.search(row["case"])
    if found is None:
        raise ConfigError(
            f"--group {pattern.pattern!r} finds nothing in the case {row['case']!r}",
            hint="the first pair of parentheses, or all of it, has to find the patient in each case's name",
        )
    return found[1] if pattern.groups and found[1] is not None else found[0]


def pattern_of(text: str | None) -> re.Pattern[str] | None:
    """A regular expression.

    Raises:
        ConfigError: it is not one.
    """
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ConfigError(f"--group {text!r} is not a regular expression: {error}") from None


def number(cell: str) -> float:
    """A cell as a number; NaN where it is empty, which stands for what is not defined.

    Raises:
        DataError: it is something else.
    """
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        raise DataError(f"{cell!r} in a cases.csv is not a number", hint="restore the file") from None
