"""EchoNet-Dynamic's FileList.csv: the videos with what was measured in them, and their splits."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from unicodedata import normalize

from medvid.data.listing import check_folder, find_files, name_left_out
from medvid.data.problems import raise_together
from medvid.data.tables.cells import split_of, value_of
from medvid.data.tables.columns import Row, Table, read_table
from medvid.data.videos.clips import Clip, Clips
from medvid.data.videos.index import VideoIndex
from medvid.errors import DataError
from medvid.sentences import listed
from medvid_echonet.tracing_table import SUFFIX, TRACINGS, read_tracings, video_of

Measure = Literal["EF", "ESV", "EDV"]
FILE_LIST = "FileList.csv"
VIDEOS = "Videos"

_COLUMNS = ("FileName", *get_args(Measure), "FPS", "NumberOfFrames", "Split")
_AGAIN = "take the file from the download again, or correct it"


@dataclass(frozen=True, slots=True)
class FileList:
    """What FileList.csv says.

    Args:
        index: the videos and their splits.
        measured: of each video, by its id.
        lengths: likewise, how many frames it should have, and how many per second.
    """

    index: VideoIndex
    measured: Mapping[str, Mapping[Measure, float]]
    lengths: Mapping[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class _Line:
    """A video: its id, split, measures, number of frames and frames per second."""

    id: str
    split: str
    measured: Mapping[Measure, float]
    length: tuple[int, float]


def read_file_list(root: Path, *, drop_untraced: bool) -> FileList:
    """Read FileList.csv; the files that it names may be missing.

    Args:
        root: the folder of the data set.
        drop_untraced: leave out the videos that VolumeTracings.csv, if it is there, has no tracing of.

    Raises:
        DataError: it cannot be read, or all lines that are wrong.
    """
    check_folder(root)
    table = read_table(_existing(root / FILE_LIST))
    columns = {name: _column(table, name) for name in _COLUMNS}
    lines: dict[str, tuple[int, _Line]] = {}
    problems: list[DataError] = []
    for row in table.rows:
        try:
            line = _line(row, columns)
            if line.id in lines:
                number, first = lines[line.id]
                raise ValueError(f"{line.id} is in line {number} already{_sides(first.split, line.split)}")
            lines[line.id] = row.line, line
        except ValueError as error:
            problems.append(DataError(f"{table.path}:{row.line}: {error}", hint=_AGAIN))
    raise_together(problems, f"lines of {table.path} cannot be used")
    return _chosen(root, [line for _, line in lines.values()], drop_untraced=drop_untraced)


def _chosen(root: Path, lines: list[_Line], *, drop_untraced: bool) -> FileList:
    listed_ids, notes = {line.id for line in lines}, list[str]()
    if drop_untraced and (root / TRACINGS).is_file():
        traced = read_tracings(root)
        if bare := [line.id for line in lines if line.id not in traced]:
            notes.append(f"left out, as in the published code: {len(bare)} videos without a tracing: {listed(bare)}")
        lines = [line for line in lines if line.id in traced]
        if not lines:
            raise DataError(f"{root / TRACINGS} has no tracing of any video of {FILE_LIST}", hint=_AGAIN)
    clips = Clips(root)
    splits: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        clips.put(clips.add(line.id), line.id, Clip(str(root / VIDEOS / f"{line.id}{SUFFIX}")))
        splits[line.split].append(line.id)
    others = [file for file in find_files(root / VIDEOS) if video_of(file.name) not in listed_ids]
    notes += name_left_out(root, others, (), lambda _: f"not in {FILE_LIST}")
    ids = {name: clips.ids.at(clips.places(splits[name])) for name in ("train", "validation", "test") if splits[name]}
    measured = {line.id: line.measured for line in lines}
    return FileList(VideoIndex(clips, (), ids, tuple(notes)), measured, {line.id: line.length for line in lines})


def _line(row: Row, columns: Mapping[str, str]) -> _Line:
    cells = {name: row.cells[column] for name, column in columns.items()}
    name = normalize("NFC", cells["FileName"])
    if not name or "/" in name or "\\" in name:
        raise ValueError(f"FileName {cells['FileName']!r} is not the name of a video in {VIDEOS}")
    numbers = {column: _number(column, cells[column]) for column in _COLUMNS[1:-1]}
    if not numbers["EF"] <= 100:
        raise ValueError(f"EF is {cells['EF']}, not a share of 0 to 100 %")
    for column in ("FPS", "NumberOfFrames"):
        if not numbers[column]:
            raise ValueError(f"{column} is 0")
    try:
        split = split_of(cells["Split"])
    except ValueError:
        raise ValueError(f"Split {cells['Split']!r} is none of TRAIN, VAL and TEST") from None
    measured: dict[Measure, float] = {measure: numbers[measure] for measure in get_args(Measure)}
    return _Line(video_of(name), split, measured, (int(numbers["NumberOfFrames"]), numbers["FPS"]))


def _number(column: str, cell: str) -> float:
    try:
        value = value_of(cell)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None
    if not value >= 0:  # unknown, too
        raise ValueError(f"{column} is {cell}, below 0" if cell else f"{column} is empty")
    return value


def _sides(first: str, second: str) -> str:
    return f", in the split {first}, and here in {second}" if first != second else ""


def _column(table: Table, name: str) -> str:
    if found := table.find(None, (name.casefold(),), "root"):
        return found
    raise DataError(f"{table.path} has no column {name}; it has {listed(table.columns)}", hint=_AGAIN)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path} does not exist", hint=f"set dataset.root to the folder with {FILE_LIST} and {VIDEOS}")
    return path
