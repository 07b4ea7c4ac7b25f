"""Names of the classes of a video data set, in the usual kinds of files."""

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medvid.errors import DataError
from medvid.sentences import listed

_FILES = (
    "kinetics_*_labels.csv",
    "kinetics_classnames.json",
    "label_map*.txt",
    "labels.txt",
    "classes.txt",
    "class_names.txt",
    "classInd.txt",
    "labels.json",
)


def find_labels(root: Path) -> Path | None:
    """The file in `root` that names the classes, if it has a customary name."""
    return next((path for pattern in _FILES for path in sorted(root.glob(pattern)) if path.is_file()), None)


def read_labels(path: Path) -> tuple[str, ...]:
    """Names of the classes by their ids.

    - JSON: a list of names, ``{name: id}`` or ``{id: name}``.
    - CSV: the columns id and name, in any order, with or without a header.
    - text: one name per line, or an id before each.

    Raises:
        DataError: the file cannot be read, or the ids are neither 0, 1, 2, ... nor 1, 2, 3, ...
    """
    return tuple(name.strip("\"' ") for _, name in _read(path))


def first_id(path: Path) -> int:
    """The first id in a file of class names: 0, or 1 as in UCF101's classInd.txt.

    Raises:
        DataError: as `read_labels`.
    """
    return _read(path)[0][0]


def _read(path: Path) -> list[tuple[int, str]]:
    """Ids and names, by the ids."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise DataError(f"the file of class names {path} {reason}", hint="set dataset.labels") from None
    try:
        pairs = _from_json(text) if path.suffix == ".json" else _from_table(_rows(text, path.suffix))
        return _ordered(pairs)
    except ValueError as error:
        raise DataError(
            f"{path}: {error}", hint="it needs a class name for each of the ids 0, 1, 2, ... or 1, 2, 3, ..."
        ) from None


def label_key(name: str) -> str:
    """A key that two spellings of a class name share: ``riding_a_bike`` and ``"Riding a bike"`` are the same.

    Accents written as one character or as two are the same, too.
    """
    return unicodedata.normalize("NFC", name.strip("\"' ").replace("_", " ")).casefold()


def _from_json(text: str) -> list[tuple[int, str]]:
    content = json.loads(text)
    if isinstance(content, Sequence) and not isinstance(content, str):
        return list(enumerate(map(str, content)))
    if not isinstance(content, Mapping) or not content:
        raise ValueError("a list of names is expected, or names with ids")
    if all(_is_id(value) for value in content.values()):
        return [(int(value), name) for name, value in content.items()]
    if all(_is_id(key) for key in content):
        return [(int(key), str(name)) for key, name in content.items()]
    raise ValueError("names have no integer ids")


def _rows(text: str, suffix: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    if suffix in {".csv", ".tsv"}:
        return [
            [cell.strip() for cell in row] for row in csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ",")
        ]
    if all(re.match(r"\s*\d+\s+\S", line) for line in lines):
        return [line.split(maxsplit=1) for line in lines]
    return [[line.strip()] for line in lines]


def _from_table(rows: list[list[str]]) -> list[tuple[int, str]]:
    if all(len(row) == 1 for row in rows):
        return [(number, name) for number, (name,) in enumerate(rows)]
    if rows and not any(_is_id(cell) for cell in rows[0]):
        rows = rows[1:]  # the header
    if bad := [number for number, row in enumerate(rows) if len(row) != 2]:
        raise ValueError(f"row {bad[0] + 1} does not have the two cells id and name")
    for column in (0, 1):
        if all(_is_id(row[column]) for row in rows):
            return [(int(row[column]), row[1 - column]) for row in rows]
    raise ValueError("no column consists of integers")


def _ordered(pairs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    names = [name.strip("\"' ") for _, name in pairs]
    found, count = sorted(number for number, _ in pairs), len(pairs)
    if not pairs or found not in (list(range(count)), list(range(1, count + 1))):
        raise ValueError(f"the ids of its {count} names are not 0 to {count - 1} or 1 to {count}")
    keys = Counter(map(label_key, names))
    if len(keys) < len(names):
        twice = sorted({name for name in names if keys[label_key(name)] > 1})
        raise ValueError(f"{len(twice)} names appear twice or in two spellings: {listed(twice)}")
    return sorted(pairs)


def _is_id(value: object) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"\d+", str(value).strip()) is not None
