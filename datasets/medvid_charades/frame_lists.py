"""Lists with a line per frame, as PySlowFast reads Charades: ``original_vido_id video_id frame_id path labels``."""

import csv
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from medvid.data.problems import raise_together
from medvid.data.tables.columns import Row
from medvid.errors import DataError
from medvid_charades.annotations import Action, AnnotatedVideo

HEADER = ("original_vido_id", "video_id", "frame_id", "path", "labels")
"""With the typing error that the published lists have, and their reader insists on; `original_video_id` is read too."""
_MOST_PROBLEMS = 100


class _Frames(NamedTuple):
    """Frames in a row with the same labels: those from `first` on."""

    first: int
    labels: frozenset[int]


def read_frame_list(path: Path, fps: float, count: int | None) -> Mapping[str, AnnotatedVideo]:
    """The videos of a list, by their names; frames count in the order of its lines.

    Args:
        path: of the list.
        fps: of the frames.
        count: of the labels there are; None: not known.

    Raises:
        DataError: it cannot be read, has another header, or all lines that cannot be right.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"the list {path} cannot be read: {error.strerror}", hint="set dataset.table") from None
    return _read(path, fps, count, (state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4)  # a list has millions of lines, and options and data set both ask for it
def _read(path: Path, fps: float, count: int | None, _state: tuple[int, int]) -> Mapping[str, AnnotatedVideo]:
    videos: dict[str, list[_Frames]] = {}
    lengths: dict[str, int] = {}
    problems: list[DataError] = []
    known: dict[str, frozenset[int]] = {}
    last = ""
    for row in _rows(path):
        name, cell = row.cells["name"], row.cells["labels"]
        try:
            if name != last and name in lengths:
                raise ValueError(f"frames of {name} are not together")
            if cell not in known:
                known[cell] = _labels(cell, count)
        except ValueError as error:
            problems.append(DataError(f"{path}:{row.line}: {error}", hint="correct the list"))
            if len(problems) == _MOST_PROBLEMS:
                break
            continue
        last, frames = name, videos.setdefault(name, [])
        if not frames or frames[-1].labels is not known[cell]:
            frames.append(_Frames(lengths.get(name, 0), known[cell]))
        lengths[name] = lengths.get(name, 0) + 1
    raise_together(problems, f"lines of {path} cannot be used")
    if not videos:
        raise DataError(f"{path} lists no frames")
    return {name: AnnotatedVideo(tuple(_actions(frames, lengths[name], fps))) for name, frames in videos.items()}


def _rows(path: Path) -> Iterator[Row]:
    """Name of the video and labels of each frame."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=" ", skipinitialspace=True)
        header = tuple(next(reader, ()))
        if header not in {HEADER, ("original_video_id", *HEADER[1:])}:
            raise DataError(
                f"{path} does not begin with the line {' '.join(HEADER)}",
                hint="PySlowFast's lists do; tables of Charades are read with dataset.lists: annotations",
            )
        for cells in reader:
            if len(cells) == len(HEADER):
                yield Row(reader.line_num, {"name": cells[0], "labels": cells[-1]})
            elif any(cells):
                raise DataError(
                    f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(HEADER)}",
                    hint='labels are in quotation marks, "" where there are none; blanks in paths as well',
                )


def _labels(cell: str, count: int | None) -> frozenset[int]:
    labels = [one.strip() for one in cell.split(",") if one.strip()]
    for one in labels:
        if not one.isdecimal() or (count is not None and int(one) >= count):
            allowed = f"0 to {count - 1}" if count is not None else "0, 1, 2, ..."
            raise ValueError(f"the label {one!r} is none of {allowed}")
    return frozenset(map(int, labels))


def _actions(frames: list[_Frames], length: int, fps: float) -> Iterator[Action]:
    """Labels that last over several stretches of frames, as one action each."""
    begun: dict[int, int] = {}
    for stretch in (*frames, _Frames(length, frozenset())):
        for label in [label for label in begun if label not in stretch.labels]:
            yield Action(label, begun.pop(label) / fps, stretch.first / fps)
        for label in sorted(stretch.labels - begun.keys()):
            begun[label] = stretch.first
