"""Where the annotations of a user's own videos lie, and what classes and videos they name."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from medvid.data.tables.columns import Table
from medvid.data.tables.lists import class_names, in_order
from medvid.data.videos.frames.annotation import CLASSES, VIDEOS, by_video, read_rows, video_called
from medvid.data.videos.labels import label_key
from medvid.errors import DataError
from medvid.sentences import listed

MAPPING = "mapping.txt"
"""The file of names of classes, as ms-tcn has it."""
_TEXTS = (".csv", ".tsv", ".txt")


def find_annotations(root: Path, videos: Collection[str], pattern: str | None) -> dict[str, Path]:
    """The annotation of each video that has one.

    Args:
        root: the data set's folder.
        videos: their ids.
        pattern: of the files, with {video} in place of the id; None: they are called like the videos.

    Raises:
        DataError: a video has several.
    """
    if pattern is not None:
        named = {name: root / pattern.replace("{video}", name) for name in videos}
        return {name: path for name, path in named.items() if path.is_file()}
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in _TEXTS and path.stem in videos and path.is_file():
            found.setdefault(path.stem, []).append(path)
    if several := [paths for paths in found.values() if len(paths) > 1]:
        raise DataError(
            f"{len(several)} videos in {root} have several annotations, such as {listed(list(map(str, several[0])))}",
            hint="say which are meant: dataset.annotations: 'FOLDER/{video}.txt'",
        )
    return {name: paths[0] for name, paths in found.items()}


def rows_by_video(path: Path, column: str | None, videos: Collection[str]) -> Mapping[str, Table]:
    """The rows of a table for all videos, by video.

    Raises:
        DataError: it cannot be read, or names a video that there is not.
    """
    return _rows_by_video(path, _state(path), column, frozenset(videos))


@lru_cache(maxsize=2)  # it is asked for once per video
def _rows_by_video(
    path: Path,
    state: tuple[int, int],  # noqa: ARG001 (another file has another)
    column: str | None,
    videos: frozenset[str],
) -> Mapping[str, Table]:
    table = read_rows(path)
    found = by_video(table, _column(table, column, VIDEOS, "video_column"), videos)
    if strange := [name for name in found if name not in videos]:
        raise DataError(
            f"{path} names {len(strange)} videos that there are not: {listed(strange)}",
            hint="complete the copy, or take their lines out",
        )
    return found


def class_column(table: Table, asked: str | None) -> str:
    """The column of classes.

    Raises:
        DataError: there is none.
    """
    return _column(table, asked, CLASSES, "class_column")


def names_in(paths: Iterable[Path], column: str | None) -> tuple[str, ...]:
    """The classes that annotations name: numbers by size, else by the alphabet.

    Raises:
        DataError: a file cannot be read, or two names are spellings of one.
    """
    first: dict[str, tuple[str, Path]] = {}
    for path in sorted(set(paths)):
        for name in _names_in(path, _state(path), column):
            other, place = first.setdefault(label_key(name), (name, path))
            if other != name:
                raise DataError(
                    f"{path} has the class {name!r}, and {place} {other!r}: spellings of one name",
                    hint="correct the files",
                )
    return in_order([name for name, _ in first.values()])


@lru_cache(maxsize=4096)
def _names_in(path: Path, state: tuple[int, int], column: str | None) -> tuple[str, ...]:  # noqa: ARG001 (another file has another)
    table = read_rows(path)
    return class_names(table, class_column(table, column))


def read_mapping(root: Path) -> dict[str, str]:
    """Names of classes by the numbers in mapping.txt, in their order; empty without such a file.

    Raises:
        DataError: its lines are not `number name`, with numbers from 0 or 1 on.
    """
    path = root / MAPPING
    if not path.is_file():
        return {}
    lines = [line.split(None, 1) for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    first = 1 if lines and lines[0][0] == "1" else 0
    if not lines or any(line[:-1] != [str(number)] for number, line in enumerate(lines, start=first)):
        raise DataError(
            f"{path} does not have a line `number name` for each class, with numbers from 0 or 1 on",
            hint="correct it, or set dataset.classes",
        )
    return {number: name.strip() for number, name in lines}


def read_list(path: Path, videos: Collection[str]) -> Sequence[str]:
    """The videos that a list names, one a line.

    Raises:
        DataError: it cannot be read, or names a video that there is not.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"the list {path} cannot be read: {error.strerror}", hint="set dataset.lists") from None
    named = tuple(video_called(line.strip(), videos) for line in lines if line.strip())
    if absent := [one for one in named if one not in videos]:
        raise DataError(
            f"{path} names {len(absent)} videos that there are not: {listed(absent)}",
            hint="complete the copy, or take them out of the list",
        )
    return named


def _column(table: Table, asked: str | None, usual: Collection[str], option: str) -> str:
    column = table.find(asked, usual, option)
    if column is None:
        what = option.removesuffix("_column").replace("class", "classe")
        raise DataError(
            f"{table.path} has no column of {what}s by a usual name; it has {listed(table.columns)}",
            hint=f"name it: dataset.{option}",
        )
    return column


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return state.st_size, state.st_mtime_ns
