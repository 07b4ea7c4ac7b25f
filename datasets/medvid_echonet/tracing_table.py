"""EchoNet-Dynamic's VolumeTracings.csv: the left ventricle at end systole and end diastole, as chords."""

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from operator import itemgetter
from pathlib import Path

from medvid.errors import DataError

TRACINGS = "VolumeTracings.csv"
SUFFIX = ".avi"

_COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
_AGAIN = "take the file from the download again"

Chords = Sequence[float]
"""X1, Y1, X2, Y2 in pixels of each chord in turn; the first one is the long axis."""


def read_tracings(root: Path) -> Mapping[str, Mapping[int, Chords]]:
    """The chords of each traced frame, by the video's id and the frame's number from 0.

    Raises:
        DataError: the file cannot be read, or a line is not a chord.
    """
    path = root / TRACINGS
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint="set dataset.root") from None
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2)  # options and data set ask for it
def _read(path: Path, size: int, changed: int) -> Mapping[str, Mapping[int, Chords]]:  # noqa: ARG001 (another file has others)
    found: dict[str, dict[int, array[float]]] = {}
    for video, frame, chord in _rows(path):
        found.setdefault(video, {}).setdefault(frame, array("d")).extend(chord)
    return found


def video_of(name: str) -> str:
    """The id of a video: its name, which has a suffix in some tables and none in others."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def _rows(path: Path) -> Iterator[tuple[str, int, list[float]]]:
    """Video, frame and chord of each line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if missing := [name for name in _COLUMNS if name not in header]:
                raise DataError(f"{path}:1: there is no column {', '.join(missing)}", hint=_AGAIN)
            pick = itemgetter(*map(header.index, _COLUMNS))
            for row in filter(None, reader):
                try:
                    name, *ends, frame = pick(row)
                    chord, number = [*map(float, ends)], int(frame)
                    if not all(map(isfinite, chord)):
                        raise ValueError
                except (IndexError, ValueError):
                    raise DataError(f"{path}:{reader.line_num}: it is not a chord of a frame", hint=_AGAIN) from None
                yield video_of(name), number, chord
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", hint=_AGAIN) from None
