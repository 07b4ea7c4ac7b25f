"""What the frames of a video are annotated with, as files say it: imports nothing heavy."""

import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medvid.data.problems import raise_together
from medvid.data.tables.columns import CLASSES as USUAL_CLASSES
from medvid.data.tables.columns import Row, Table, parse_table, text_of
from medvid.data.tables.index import Answer
from medvid.data.tables.lists import Read
from medvid.errors import DataError
from medvid.sentences import listed

FRAMES = ("frame", "frame_id", "frame_number", "frame_no", "frame_index")
"""What the column of numbers of frames is usually called; likewise those below."""
TIMES = ("time", "time_s", "seconds", "timestamp")
CLASSES = ("phase", "step", "action", *USUAL_CLASSES)
VIDEOS = ("video", "video_id", "video_name", "videoname")

_MOST = 20  # faults that are collected before reading ends
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?|(\d+:)?\d+:\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Annotation:
    """The rows of a file about one video, in the order of their frames.

    Args:
        path: the file.
        at: the number of the frame, or its time in seconds, of each row.
        unit: which of them.
        answers: what each row says.
    """

    path: Path
    at: Sequence[float]
    unit: Literal["frame", "second"]
    answers: Sequence[Answer]


def read_rows(path: Path) -> Table:
    """Read a CSV file with a header, or a text file with the name of a class in each line, as of ms-tcn.

    Of cells separated by blanks alone, the blanks count as separators. A file of names gets the columns frame, from 0,
    and class.

    Raises:
        DataError: it cannot be read, or has no header.
    """
    text = text_of(path, "dataset.annotations")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty", hint="it needs a header and a line for each frame, or a name in each line")
    if not re.search(r"[,;\t]", lines[0]):
        if len(lines[0].split()) == 1 and lines[0].strip().casefold() not in CLASSES:
            return _names(path, text)
        text = "\n".join("\t".join(line.split()) for line in text.splitlines())
    first = re.split(r"[,;\t]", lines[0] if "\t" in lines[0] else text.split("\n", 1)[0])[0].strip('" ')
    if _NUMBER.fullmatch(first):
        raise DataError(
            f"{path}:1: there is no header, the first line is {lines[0].strip()!r}",
            hint="name the columns in a line before it, such as: Frame<tab>Phase",
        )
    return parse_table(path, text)


def _names(path: Path, text: str) -> Table:
    lines = text.rstrip().splitlines()
    rows = (Row(line, {"frame": str(line - 1), "class": name.strip()}) for line, name in enumerate(lines, start=1))
    return Table(path, ("frame", "class"), tuple(rows))


def by_video(table: Table, column: str, videos: Collection[str]) -> Mapping[str, Table]:
    """The rows of one table for all videos, by the video that they name."""
    found: dict[str, list[Row]] = {}
    for row in table.rows:
        found.setdefault(video_called(row.cells[column], videos), []).append(row)
    return {name: Table(table.path, table.columns, tuple(rows)) for name, rows in found.items()}


def video_called(name: str, videos: Collection[str]) -> str:
    """The id of a video by its name in a list: without folders, and without an ending unless it is part of the id."""
    bare = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return bare if bare in videos else bare.rpartition(".")[0] or bare


def annotate(table: Table, frame: str | None, time: str | None, read: Read) -> Annotation:
    """The annotation of a video.

    Args:
        table: its rows.
        frame: the column of numbers of frames; None: the one with a usual name.
        time: likewise of times, which count where no numbers are named.
        read: how a row says its answer.

    Raises:
        DataError: there is no such column; all rows that are wrong, by line; a frame that two rows say other things of.
    """
    column, unit = _places(table, frame, time)
    found: dict[float, tuple[Answer, int]] = {}
    problems: list[DataError] = []
    for row in table.rows:
        try:
            place = _frame(row.cells[column]) if unit == "frame" else _seconds(row.cells[column])
            answer = read(row)
            before, line = found.setdefault(place, (answer, row.line))
            if before != answer:
                raise ValueError(f"{column} {row.cells[column]} is annotated otherwise in line {line}")
        except ValueError as error:
            hint = "correct the file, or take the line out"
            problems.append(DataError(f"{table.path}:{row.line}: {error}", hint=hint))
            if len(problems) == _MOST:
                break
    raise_together(problems, f"lines or more of {table.path} cannot be used")
    places = sorted(found)
    return Annotation(table.path, array("d", places), unit, [found[place][0] for place in places])


def _places(table: Table, frame: str | None, time: str | None) -> tuple[str, Literal["frame", "second"]]:
    column = None if time is not None else table.find(frame, FRAMES, "frame_column")
    if column is not None:
        return column, "frame"
    column = table.find(time, TIMES, "time_column")
    if column is None:
        raise DataError(
            f"{table.path} has no column of frames or times by a usual name; it has {listed(table.columns)}",
            hint="name it: dataset.frame_column or dataset.time_column",
        )
    return column, "second"


def _frame(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = -1.0
    if number < 0 or not number.is_integer():
        raise ValueError(f"{cell!r} is not the number of a frame")
    return number


def _seconds(cell: str) -> float:
    """Seconds, or hours, minutes and seconds with colons between them."""
    if not _NUMBER.fullmatch(cell) or cell.startswith("-"):
        raise ValueError(f"{cell!r} is not a time: seconds, or hours:minutes:seconds")
    seconds = 0.0
    for part in cell.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
