"""Accounting for every file of a data set: each is used, refused by name, or named as left out.

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
from medvid.sentences import listed, shown_name

CACHE_TAG = "CACHEDIR.TAG"
"""Marks a folder as a cache (bford.info/cachedir): backups leave it out, and so do lists of data."""

OTHER_MASKS = {"mask", "masks", "seg", "segmentations", "predictions"}
"""Folders of masks, besides those that a data set reads."""

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
_DOCUMENTS = {"readme", "license", "licence", "copying", "changelog", "citation"}
_TEXTS = (".json", ".txt", ".md", ".rst", ".pdf", ".html", ".htm", ".yaml", ".yml", ".toml", ".log")


def check_folder(root: Path) -> None:
    """Refuse a data set's folder that is not one.

    Raises:
        DataError: it does not exist, or is a file.
    """
    if not root.is_dir():
        raise DataError(f"the data set's folder {root} does not exist", hint="set dataset.root")


def find_files(folder: Path, *, recursive: bool = True) -> tuple[Path, ...]:
    """All non-folders below a folder, in a fixed order.

    Files that are `is_harmless`, hidden folders and caches are left out. Links are followed; a folder that is reached
    in two ways is listed once. Broken links, pipes and the like are listed as well, see `check_usable`.

    Args:
        folder: where to look; one that does not exist is empty.
        recursive: also look into the folders in it.

    Raises:
        DataError: a folder cannot be read.
    """
    return tuple(walk_files(folder, recursive=recursive))


def walk_files(folder: Path, *, recursive: bool = True) -> Iterator[Path]:
    """As `find_files`, one by one, for folders of very many files."""
    try:
        if folder.is_dir():
            yield from _walk(folder, recursive, set())
    except OSError as error:
        raise DataError(
            f"the folder {shown_name(error.filename)} cannot be read: {error.strerror}",
            hint="change its permissions, or move it out of the data set's folder",
        ) from error


def files_below(path: Path) -> tuple[Path, ...]:
    """The files of a folder, as `find_files`; of a file itself alone."""
    return find_files(path) if path.is_dir() else (path,)


def find_folders(folder: Path) -> tuple[Path, ...]:
    """The folders in a folder, by name, without hidden ones; empty for one that does not exist.

    Raises:
        DataError: it cannot be read.
    """
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise DataError(f"the folder {shown_name(folder)} cannot be read: {error.strerror}") from error
    return tuple(path for path in found if path.is_dir() and not _is_hidden(path.name))


def is_harmless(path: Path) -> bool:
    """Whether a file cannot be meant as data: hidden, left by an operating system, a document or text."""
    name = path.name.casefold()
    return _is_hidden(name) or name in _LITTER | _DOCUMENTS or name.endswith(_TEXTS)


def check_usable(root: Path, files: Iterable[Path]) -> None:
    """Refuse files that cannot be read at all: missing, broken links, folders, pipes, unprintable names.

    Args:
        root: the data set's folder, to which names are relative.
        files: the files to be used.

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
    """Report files that are not used: a line per reason, with at most ten names and the number of others.

    Args:
        root: the data set's folder, to which names are relative.
        files: all of them, see `find_files`.
        used: the files in use, under this or another name (a link).
        reason: why a file is left out, the text after "left out, "; can raise a DataError for one that must not be.
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
    """Files by name, in their order; names that differ only in capitals or the form of accents clash.

    Names become the names of cases and so of output files, also on disks that do not distinguish such names.

    Args:
        named: (name, file).
        what: what they are, e.g. "images".
        hint: what to do about two with the same name.

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
        raise DataError(f"{what} with the same name: {names}", hint=hint)
    return {unicodedata.normalize("NFC", name): path for ((name, path),) in groups.values()}


def told_apart(named: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Names of files; if two have the same name, prefixed with their folders below the folder common to all.

    Args:
        named: (name, file).
    """
    if len({name_key(name) for name, _ in named}) == len(named):
        return list(named)
    top = os.path.commonpath([path.parent.absolute() for _, path in named])
    return [("_".join((*path.parent.absolute().relative_to(top).parts, name)), path) for name, path in named]


def check_no_masks(folder: Path, files: Iterable[Path], names: Container[str]) -> None:
    """Refuse a search that would take masks for scans, because it finds files in folders of masks.

    Args:
        folder: the folder that was searched.
        files: found in it and below it.
        names: of folders of masks, in lower case.

    Raises:
        DataError: there are such folders, by their names or by the pictures that medvid writes beside predictions.
    """
    below = sorted({file.relative_to(folder).parent for file in files} - {Path()})
    masks = [
        str(place)
        for place in below
        if any(part.lower() in names for part in place.parts) or (folder / place / PICTURES).is_dir()
    ]
    if masks:
        raise DataError(
            f"{folder} contains folders of masks, judging by their names or the {PICTURES} in them: {listed(masks)}",
            hint="pass the folders of images one by one",
        )


def name_key(name: str) -> str:
    """A key that is equal for names that some disks do not distinguish: by capitals or the form of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_spelled(path: Path, known: dict[Path, dict[str, Path]] | None = None) -> Path:
    """The file on disk whose name has the same accents in another form (NFC, NFD); else the path unchanged.

    Args:
        path: as written in the list.
        known: folders that were read before; pass the same dict for all files of a list, so that each is read once.
    """
    if path.exists():
        return path
    folder = find_spelled(path.parent, known) if path.parent != path else path
    known = {} if known is None else known
    if folder not in known:
        known[folder] = _composed_names(folder)
    return known[folder].get(unicodedata.normalize("NFC", path.name), path)


def identity(path: Path) -> Hashable:
    """A key that is equal for a file under several names: links, hard or symbolic, and other spellings of its path."""
    try:
        status = path.stat()
    except OSError:
        return path.absolute()
    return status.st_dev, status.st_ino


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
    """The entries of a folder, by name in composed form; empty if it cannot be read."""
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
        return "broken links" if path.is_symlink() else f"{error.strerror}".lower()
    return "" if stat.S_ISREG(mode) else "folders" if stat.S_ISDIR(mode) else "not regular files"


def _names(root: Path, paths: Sequence[Path]) -> list[str]:
    return [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths]


def _count(paths: Sequence[Path]) -> str:
    return "1 file" if len(paths) == 1 else f"{len(paths)} files"
