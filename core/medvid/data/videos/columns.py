"""Path and label in a line of a list, with and without a header."""

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from medvid.data.videos.index import SUFFIXES

_PATHS = {
    *("path", "file", "filename", "file_name", "filepath", "file_path", "video", "video_path", "video_name"),
    *("clip", "clip_path", "name"),
}
_LABELS = {"label", "labels", "class", "class_id", "label_id", "target", "tag"}
_SPLITS = {"split", "subset", "fold", "partition"}

FRAME_LINE = re.compile(rf"(?i)(?!.*(?:{'|'.join(map(re.escape, SUFFIXES))})\b).*?\S((?:\s+\d+){{2,3}})")
"""A line that can name a folder of frames: `folder total label`, or `folder start total label`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table separated by commas, semicolons or tabs has path and label."""

    path: int
    label: int
    count: int
    separator: str
    split: int | None = None

    @property
    def plain(self) -> bool:
        """Whether lines are as they are without a header; then paths may hold the separator."""
        return (self.path, self.label, self.count) == (0, 1, 2)

    @classmethod
    def of(cls, header: str) -> "Columns | None":
        """The columns that a first line names, if it does."""
        for separator in ",;\t":
            cells = [cell.strip().lower() for cell in _row(header, separator)]
            paths = [number for number, cell in enumerate(cells) if cell in _PATHS]
            labels = [number for number, cell in enumerate(cells) if cell in _LABELS]
            if len(paths) == len(labels) == 1:
                splits = [number for number, cell in enumerate(cells) if cell in _SPLITS]
                return cls(paths[0], labels[0], len(cells), separator, splits[0] if splits else None)
        return None

    def part(self, line: str) -> str:
        """What the column of splits says; empty where there is none, or a line has not all cells."""
        cells = _row(line, self.separator)
        return cells[self.split].strip() if self.split is not None and len(cells) == self.count else ""

    def cells(self, line: str) -> tuple[str, str]:
        """Path and label of a line; empty where it has more or fewer cells than the header."""
        cells = _row(line, self.separator)
        return (cells[self.path].strip(), cells[self.label].strip()) if len(cells) == self.count else ("", "")


def numbered_columns(lines: Sequence[tuple[int, str]]) -> Columns | None:
    """The columns of a table without a header whose first one counts the lines, as pandas writes it."""
    for separator in ",;\t":
        first = _row(lines[0][1], separator)[0].strip()
        rows = (_row(line, separator) for _, line in lines)
        if first in {"0", "1"} and all(
            len(row) == 3 and is_path(row[1]) and row[0].strip() == str(number)
            for number, row in enumerate(rows, start=int(first))
        ):
            return Columns(1, 2, 3, separator)
    return None


def _row(line: str, separator: str) -> list[str]:
    """The cells of a line of a table, which may be in quotation marks."""
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


_LABELLED = re.compile(rf"(?i)(.*?(?:{'|'.join(map(re.escape, SUFFIXES))}))\"?[\s,;]+(.*)")
"""A path up to its ending, and what follows."""
_BETWEEN = "\t"
"""Stands between several labels of a line, in the label of its entry; alone it means that there are none."""


def split_several(line: str, separator: str | None) -> tuple[str, str]:
    """Path and labels of a line with any number of labels, joined as `labels_of` takes them apart.

    Labels follow the ending of the file, between blanks, commas or semicolons, perhaps all in quotation marks; or they
    are the cells behind the first one, where the task names a separator. Empty quotation marks: there are none.
    """
    if separator is not None:
        file, *labels = _row(line, separator)
    else:
        found = _LABELLED.fullmatch(line)
        file, labels = (found[1], re.split(r"[\s,;]+", found[2].strip('"'))) if found else ("", [])
    return file.strip().strip('"'), _BETWEEN.join(label.strip() for label in labels) or (_BETWEEN if labels else "")


def labels_of(label: str) -> Collection[str]:
    """The labels of an entry of a list in which lines have several."""
    return [one for one in label.split(_BETWEEN) if one]


def split_frames(line: str, numbers: int, several: bool) -> tuple[str, tuple[int, int], str]:
    """Folder, part and label of a line that names a folder of frames: `folder total label`.

    Args:
        line: that matches `FRAME_LINE`.
        numbers: 3 where the place of the first frame stands before their number.
        several: any number of labels follow, joined as `labels_of` takes them apart.
    """
    if several:
        found = re.fullmatch(r"(.*?\S)\s+(\d+)((?:\s+\d+)+)", line)
        assert found is not None, "it matches FRAME_LINE"
        return found[1].strip('"'), (0, int(found[2])), _BETWEEN.join(found[3].split())
    folder, *values = line.rsplit(maxsplit=numbers)
    *start, total, label = values
    return folder.strip('"'), (int(start[0]) if start else 0, int(total)), label


def is_path(text: str) -> bool:
    return text.strip('" ').lower().endswith(SUFFIXES)


def split_line(line: str, separator: str | None, named: bool) -> tuple[str, str]:
    """Path and label of a line."""
    if '"' in line:
        for mark in (separator,) if separator else (",", ";", "\t", " "):
            cells = _row(line, mark)
            if len(cells) == 2:
                return cells[0].strip(), cells[1].strip()
    if separator is not None:
        file, _, label = line.rpartition(separator)
        return file.strip().strip('"'), label.strip().strip('"')
    match = re.match(r"(.*[^\s,])[\s,]+(\S+)$", line)
    file, label = (match[1], match[2]) if match else ("", line)
    if named and not re.fullmatch(r"-?\d+", label) and not label.lower().endswith(SUFFIXES):
        for mark in ",\t":  # names may hold spaces
            if mark in line:
                file, _, label = line.rpartition(mark)
                break
    return file.strip().strip('"'), label.strip().strip('"')
