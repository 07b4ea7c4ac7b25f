"""Accounting for every file of a data set: each is used, refused by name, or named as left out. Imports nothing heavy.

A data set lists what lies in its folder with `find_files`, decides what it uses, has that checked by `check_usable` and
`by_name`, and logs the lines of `name_left_out` for the rest.
"""

import os
import stat
import unicodedata
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from medvid.data.output import PICTURES
from medvid.errors import DataError

CACHE_TAG = "CACHEDIR.TAG"
"""Marks a folder as a cache (bford.info/cachedir): backups leave it out, and so do lists of data."""

OTHER_MASKS = {"mask", "masks", "seg", "segmentations", "predictions"}
"""Folders of masks, besides those that a data set reads."""

_SHOWN = 10
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
_DOCUMENTS = {"readme", "license", "licence", "copying", "changelog", "citation"}
_TEXTS = (".json", ".txt", ".md", ".rst", ".pdf", ".html", ".htm", ".yaml", ".yml", ".toml", ".log")


def find_files(folder: Path, *, recursive: bool = True) -> tuple[Path, ...]:
    """Everything below a folder that is not a folder, in a fixed order.

    What `is_harmless`, hidden folders and caches are left out. Links are followed; a folder that is reached in two ways
    is listed once. Broken links, pipes and the like are listed as well, see `check_usable`.

    Args:
        folder: where to look; nothing is found where it does not exist.
        recursive: whether folders in it are looked into.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        return tuple(_walk(folder, recursive, set())) if folder.is_dir() else ()
    except OSError as error:
        raise DataError(
            f"the folder {shown_name(error.filename)} cannot be read: {error.strerror}",
            hint="see to its permissions, or take it out of the data set's folder",
        ) from error


def is_harmless(path: Path) -> bool:
    """Whether nobody can mean a file as data: hidden, litter of an operating system, a document or text."""
    name = path.name.casefold()
    return _is_hidden(name) or name in _LITTER | _DOCUMENTS or name.endswith(_TEXTS)


def check_usable(root: Path, files: Iterable[Path]) -> None:
    """Refuse files that cannot be read whatever they hold: missing, broken links, folders, pipes, unprintable names.

    Args:
        root: the data set's folder, which names are relative to.
        files: those that are meant to be used.

    Raises:
        DataError: naming them, by reason.
    """
    problems: dict[str, list[Path]] = {}
    for path in files:
        if problem := _problem(path):
            problems.setdefault(problem, []).append(path)
    if problems:
        raise DataError(
            "; ".join(
                f"{_count(paths)} in {root} cannot be used, {problem}: {listed(_names(root, paths))}"
                for problem, paths in problems.items()
            ),
            hint="restore, rename or remove them",
        )


def name_left_out(
    root: Path, files: Iterable[Path], used: Iterable[Path], reason: Callable[[Path], str]
) -> tuple[str, ...]:
    """What to tell about files that are not used: a line per reason, with at most ten names and the number of others.

    Args:
        root: the data set's folder, which names are relative to.
        files: all of them, see `find_files`.
        used: those that are used, under this or another name (a link).
        reason: why a file is left out, to go behind "left out, "; may raise a DataError for one that must not be.
    """
    known = {identity(path) for path in used}
    reasons: dict[str, list[Path]] = {}
    for path in files:
        if identity(path) not in known:
            reasons.setdefault(reason(path), []).append(path)
    return tuple(
        f"{_count(paths)} in {root} left out, {why}: {listed(_names(root, paths))}" for why, paths in reasons.items()
    )


def by_name(named: Iterable[tuple[str, Path]], what: str, hint: str) -> dict[str, Path]:
    """Files by name, in their order, where no two are called alike, not even but for capitals or the form of accents.

    Names become those of cases and so of files that are written, also on disks that do not tell such names apart.

    Args:
        named: (name, file).
        what: what they are, e.g. "images".
        hint: what to do about two of one name.

    Returns:
        Files by their name in Unicode's composed form (NFC).

    Raises:
        DataError: all files that share a name.
    """
    groups: dict[str, list[tuple[str, Path]]] = {}
    for name, path in named:
        groups.setdefault(name_key(name), []).append((name, path))
    if clashes := [group for group in groups.values() if len(group) > 1]:
        names = listed([" and ".join(shown_name(path) for _, path in group) for group in clashes])
        raise DataError(f"{what} of one name: {names}", hint=hint)
    return {unicodedata.normalize("NFC", name): path for ((name, path),) in groups.values()}


def told_apart(named: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Names of files, with the folders below the one that all are in before them, where two have the same name.

    Args:
        named: (name, file).
    """
    if len({name_key(name) for name, _ in named}) == len(named):
        return list(named)
    top = os.path.commonpath([path.parent.absolute() for _, path in named])
    return [("_".join((*path.parent.absolute().relative_to(top).parts, name)), path) for name, path in named]


def check_no_masks(folder: Path, files: Iterable[Path], names: Container[str]) -> None:
    """Refuse to take for scans what lies in folders of masks below one that is searched.

    Args:
        folder: the one that was given.
        files: found in it and below it.
        names: of folders of masks, in small letters.

    Raises:
        DataError: there are such folders, by their names or by the pictures that predictions have beside them.
    """
    below = sorted({file.relative_to(folder).parent for file in files} - {Path()})
    masks = [
        str(place)
        for place in below
        if any(part.lower() in names for part in place.parts) or (folder / place / PICTURES).is_dir()
    ]
    if masks:
        raise DataError(
            f"{folder} has folders of masks, as their names or the {PICTURES} in them say: {listed(masks)}",
            hint="give the folders of images, one by one",
        )


def name_key(name: str) -> str:
    """What is equal for names that some disks do not tell apart: in capitals or in the form of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_spelled(path: Path, known: dict[Path, dict[str, Path]] | None = None) -> Path:
    """The file that a list means whose accents have another form (NFC, NFD) than on disk; else the path as it is.

    Args:
        path: as the list has it.
        known: folders that were read before; give the same for all files of a list, and each is read once.
    """
    if path.exists():
        return path
    folder = find_spelled(path.parent, known) if path.parent != path else path
    known = {} if known is None else known
    if folder not in known:
        known[folder] = _composed_names(folder)
    return known[folder].get(unicodedata.normalize("NFC", path.name), path)


def identity(path: Path) -> Hashable:
    """What is equal for a file under several names: links, hard or symbolic, and other spellings of its path."""
    try:
        status = path.stat()
    except OSError:
        return path.absolute()
    return status.st_dev, status.st_ino


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: at most ten, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown_name(name) for name in names[:_SHOWN]) + more


def shown_name(name: str | Path) -> str:
    """A name that can be printed and logged, whatever bytes it has on disk."""
    escaped = (c if unicodedata.category(c) not in {"Cc", "Cs"} else ascii(c)[1:-1] for c in str(name))
    return "".join(escaped)


def _walk(folder: Path, recursive: bool, seen: set[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        content = sorted(entries, key=lambda entry: entry.name)
    if any(entry.name == CACHE_TAG for entry in content):
        return
    for entry in content:
        path = folder / entry.name
        if not _is_folder(entry):
            if not is_harmless(path):
                yield path
        elif recursive and not _is_hidden(entry.name):
            yield from _walk(path, recursive, seen)


def _composed_names(folder: Path) -> dict[str, Path]:
    """What is in a folder, by name in composed form; empty where it cannot be read."""
    try:
        return {unicodedata.normalize("NFC", path.name): path for path in folder.iterdir()}
    except OSError:
        return {}


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() == "__macosx"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _problem(path: Path) -> str:
    if shown_name(path.name) != path.name:
        return "their names are not printable UTF-8"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return "links that lead nowhere" if path.is_symlink() else f"{error.strerror}".lower()
    return "" if stat.S_ISREG(mode) else "folders" if stat.S_ISDIR(mode) else "not regular files"


def _names(root: Path, paths: Sequence[Path]) -> list[str]:
    return [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths]


def _count(paths: Sequence[Path]) -> str:
    return "1 file" if len(paths) == 1 else f"{len(paths)} files"
