"""The challenge's table of labels: a line for each image and kind of haemorrhage, millions of them."""

import csv
from collections.abc import Iterator
from pathlib import Path

from medvid.data.problems import raise_together
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.sentences import listed
from medvid.similar import suggest
from medvid_rsna.config import LABELS

Labels = list[int]
"""0 or 1 of each of `LABELS`, `UNKNOWN` where no line says it."""
_MOST = 20  # faults that are collected before reading ends


def read_table(path: Path) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Read ``ID,Label`` lines such as ``ID_12cadc6af_subdural,1``.

    The published file says some lines twice, which changes nothing.

    Returns:
        The labels of each image, ``ID_12cadc6af``, and notes.

    Raises:
        DataError: it cannot be read; all lines that are wrong, by number; labels that contradict each other.
    """
    found: dict[str, Labels] = {}
    problems: list[DataError] = []
    twice = 0
    for line, cells in _lines(path):
        try:
            image, label, value = _entry(cells)
            labels = found.setdefault(image, [UNKNOWN] * len(LABELS))
            if labels[label] not in {UNKNOWN, value}:
                raise ValueError(f"{LABELS[label]} of {image} is {value}, but {labels[label]} in a line before")
            twice += labels[label] == value
            labels[label] = value
        except ValueError as error:
            problems.append(DataError(f"{path}:{line}: {error}", hint="correct the table, or take the line out"))
            if len(problems) == _MOST:
                break
    raise_together(problems, f"lines or more of {path} cannot be used")
    _check_any(path, found)
    return found, (f"{path} says {twice} labels twice, the same each time",) if twice else ()


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [cell.strip().casefold() for cell in next(reader, [])]
            if header != ["id", "label"]:
                raise DataError(
                    f"{path}:1: the columns are {listed(header) or 'missing'}, not ID and Label",
                    hint="use the table as the challenge has it, or set dataset.table",
                )
            for cells in reader:
                if any(cells):
                    yield reader.line_num, cells
    except OSError as error:
        raise DataError(f"the table {path} cannot be read: {error.strerror}", hint="set dataset.table") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}", hint="download it again") from None


def _entry(cells: list[str]) -> tuple[str, int, int]:
    """Image, number of the label, and 0 or 1."""
    if len(cells) != 2:
        raise ValueError(f"{len(cells)} cells, not ID and Label")
    (image, _, label), value = cells[0].strip().rpartition("_"), cells[1].strip()
    if not image or label not in LABELS:
        raise ValueError(f"{cells[0]!r} does not end in a kind of haemorrhage{suggest(label, LABELS)}")
    if value not in {"0", "1"}:
        raise ValueError(f"{value!r} is not a label: 0 or 1")
    return image, LABELS.index(label), int(value)


def _check_any(path: Path, found: dict[str, Labels]) -> None:
    """Refuse images with a kind of haemorrhage, but not any; or any, but none of the kinds."""
    wrong = [image for image, (*kinds, some) in found.items() if UNKNOWN not in (*kinds, some) and some != max(kinds)]
    if wrong:
        raise DataError(
            f"{path}: of {len(wrong)} images the label any contradicts those of the kinds: {listed(wrong)}",
            hint="any is 1 exactly where one of the kinds is: correct the table, or take their lines out",
        )
