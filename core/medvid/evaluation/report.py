"""Evaluation results for people: a CSV file of all cases, and tables."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.table import Table as RichTable

from medvid.files import replace_file
from medvid.plugin.events import Table


def write_cases(rows: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """Write one line per row, with the columns that any of them has; a figure that is not defined is an empty field.

    The file appears at once and complete, or not at all.
    """
    rows = list(rows)
    return write_rows(rows, list(dict.fromkeys(key for row in rows for key in row)), path)


def write_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], path: Path) -> Path:
    """As `write_cases`, of known columns: each row is written as it comes, and need not stay in memory."""
    with replace_file(path) as file, TextIOWrapper(file, "utf-8", "surrogateescape", newline="") as text:
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if _is_undefined(value) else value for key, value in row.items()} for row in rows)
    return path


def as_rich(table: Table) -> RichTable:
    """A table for the console."""
    heading, *lines, last = table
    shown = RichTable(show_footer=True)
    for column, (title, footer) in enumerate(zip(heading, last, strict=True)):
        shown.add_column(title, footer, justify="left" if column == 0 else "right")
    for line in lines:
        shown.add_row(*line)
    return shown


def as_text(table: Table) -> str:
    """A table as aligned plain text, for logs."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def file_name(case: str) -> str:
    """A file name for a case id, whatever characters the id has."""
    return quote(case, safe=" ")


def _is_undefined(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
