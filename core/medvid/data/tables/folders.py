"""Cases in one folder per class, in split folders or not."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from unicodedata import normalize

from medvid.data.listing import check_folder, check_usable, find_files, name_left_out
from medvid.data.tables.cells import is_split, split_of
from medvid.data.tables.index import AnsweredCase, AnswerIndex
from medvid.errors import DataError
from medvid.sentences import listed
from medvid.similar import suggest

TABLE = "labels.csv"
"""The table that is used where none is named."""
_BEGINNING = 10_000
_NO_CLASS = re.compile(
    r"(images?|img|masks?|labels?|labelcol|annotations?|segmentations?)([_-]?(tr|ts|train|test))?$", re.IGNORECASE
)
"""Folders of images and of their masks, which are not classes."""


def folder_names(root: Path) -> tuple[str, ...]:
    """The classes: the folders in `root`, or in its split folders, by the alphabet.

    Raises:
        DataError: there are none.
    """
    check_folder(root)
    names = sorted({normalize("NFC", folder.name) for top in _tops(root).values() for folder in _folders(top)})
    if len(names) < 2:
        raise DataError(
            f"{root} has neither a labels.csv nor folders of several classes; it has {listed(names) or 'none'}",
            hint="set dataset.table to a CSV file, or sort the files into folders called like their classes",
        )
    return tuple(names)


def holds(root: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a folder has a table of files that are called so, or folders of at least two classes with such files."""
    table = root / TABLE
    if table.is_file():
        beginning = table.read_text("utf-8", "replace")[:_BEGINNING].casefold()
        return any(suffix in beginning for suffix in suffixes)
    classes = {folder.name: folder for top in _tops(root).values() for folder in _folders(top)}
    kept = [folder for name, folder in classes.items() if not _NO_CLASS.match(name)]
    return len(kept) > 1 and all(any(_is_called(path, suffixes) for path in folder.rglob("*")) for folder in kept)


def _is_called(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.casefold().endswith(suffixes)


def index_folders(root: Path, classes: tuple[str, ...], is_case: Callable[[Path], bool]) -> AnswerIndex:
    """The cases of class folders.

    Args:
        root: the data set's folder.
        classes: names of the folders, by id.
        is_case: whether a file, or a folder of files, is one.

    Raises:
        DataError: a folder is of no class, or there are no cases.
    """
    ids = {name: number for number, name in enumerate(classes)}
    cases, splits = {}, {}
    files: list[Path] = []
    for split, top in _tops(root).items():
        found = []
        for folder in _folders(top):
            name = normalize("NFC", folder.name)
            if name not in ids:
                meant = suggest(name, [*ids])
                raise DataError(f"{folder} is not the folder of a class{meant}", hint="set dataset.classes")
            for path in _cases_in(folder, is_case):
                case = AnsweredCase(normalize("NFC", path.relative_to(root).as_posix()), path, ids[name])
                cases[case.id] = case
                found.append(case.id)
        files += find_files(top)
        if split:
            splits[split] = tuple(found)
    if not cases:
        raise DataError(f"there are no cases in the class folders of {root}", hint="check the names of its files")
    paths = [case.path for case in cases.values()]
    check_usable(root, [path for path in paths if not path.is_dir()])
    inside = [path for path in files if any(path.is_relative_to(folder) for folder in paths if folder.is_dir())]
    notes = name_left_out(root, files, [*paths, *inside], lambda _: "they are not data that is read")
    return AnswerIndex(cases, splits, classes, notes)


def _tops(root: Path) -> dict[str, Path]:
    """The folders that hold class folders, by split; the root itself under an empty name."""
    found = {split_of(folder.name): folder for folder in _folders(root) if is_split(folder.name)}
    return found or {"": root}


def _folders(path: Path) -> Iterator[Path]:
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return (path / name for name in names)


def _cases_in(folder: Path, is_case: Callable[[Path], bool]) -> Iterator[Path]:
    yield from (path for path in find_files(folder, recursive=False) if is_case(path))
    for inner in _folders(folder):
        yield from (inner,) if is_case(inner) else _cases_in(inner, is_case)
