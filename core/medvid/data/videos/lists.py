"""Lists of clips, one `path label` per line, as in PySlowFast and mmaction2, or self-made.

All problems are reported at once.
"""

import os
import posixpath
import re
import stat
import unicodedata
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from medvid.data.listing import check_folder, find_files, find_spelled, name_left_out
from medvid.data.names import Names
from medvid.data.videos.clips import Clip, Clips
from medvid.data.videos.columns import (
    FRAME_LINE,
    Columns,
    is_path,
    labels_of,
    numbered_columns,
    split_frames,
    split_line,
    split_several,
)
from medvid.data.videos.entries import Entries, Entry, Lines
from medvid.data.videos.index import (
    SUFFIXES,
    VideoIndex,
    notes_on_classes,
    raise_problems,
    split_folders,
    split_of_folder,
)
from medvid.data.videos.labels import label_key
from medvid.errors import DataError
from medvid.sentences import listed

_NAMES = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_PATTERNS = (
    *("{}.csv", "{}.txt", "{}_list.txt", "*_{}_list_videos.txt", "*_{}_list.txt"),  # PySlowFast, mmaction2
    *("*_{}_split_[0-9]_videos.txt", "{}list0[0-9].txt"),  # UCF101 and HMDB51 by mmaction2, and as published
)
_FRAME_PATTERNS = ("*_{}_list_rawframes.txt", "*_{}_split_[0-9]_rawframes.txt")
"""Lists of folders of frames as mmaction2 names them, which count where there are none of files."""
_HINT = "each line is a path and a label, an integer from 0: clips/a b.mp4 12"
_PROBED = 200
_PARTS = re.compile(r"_test_split[1-3]$")
"""The lists of HMDB51, one per class, whose numbers are not classes."""
_SEVERAL = re.compile(rf"(?i)({'|'.join(map(re.escape, SUFFIXES))})\"?[\s,;]+\S")
"""A path that continues after its ending."""


@dataclass(frozen=True, slots=True)
class ListFormat:
    """How lists are read.

    Args:
        prefix: folder of relative paths; None: inferred.
        separator: character between path and label; None: the last space, tab or comma.
        named: whether labels can be names of classes that no file lists.
        first: the label of the first class.
        several: whether a line can have any number of labels.
    """

    prefix: Path | None = None
    separator: str | None = None
    named: bool = False
    first: int = 0
    several: bool = False


def find_lists(root: Path) -> dict[str, Path]:
    """Lists with customary names in `root`, by split.

    Raises:
        DataError: `root` is not a folder, or several files could be the list of a split.
    """
    check_folder(root)
    found: dict[str, Path] = {}
    for split, names in _NAMES.items():
        files = _called(root, names, _PATTERNS) or _called(root, names, _FRAME_PATTERNS)
        if len(files) > 1:
            listed = ", ".join(path.name for path in files)
            raise DataError(f"several lists in {root} could be the {split} list: {listed}", hint="set dataset.lists")
        if files:
            found[split] = files[0]
    return found


def read_lists(
    root: Path, files: Mapping[str, Path], form: ListFormat, names: Sequence[str] | None = None
) -> VideoIndex:
    """Index the clips of lists.

    A clip is named after its path in `root`, or its full path if it is elsewhere.

    Args:
        root: folder of the data set.
        files: the list of each split, or a single list for ``all``.
        form: how they are read.
        names: names of the classes by id; None: unknown.

    Raises:
        DataError: a list cannot be read, or all problems in them: labels that are missing, not integers or out of
            range, a clip with two labels or in two splits, paths that lead out of `root`.
    """
    listed = tuple((split, path, _state(path)) for split, path in files.items())
    return _read_lists(root, listed, form, tuple(names) if names else None)


def _state(path: Path) -> tuple[int, int]:
    """Size and time of a list, by which changes are noticed."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"the list {path} cannot be read: {error.strerror}", hint="set dataset.lists") from None
    if not stat.S_ISREG(state.st_mode):
        raise DataError(f"the list {path} is not a file", hint="set dataset.lists")
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=2)
def _read_lists(
    root: Path, files: tuple[tuple[str, Path, tuple[int, int]], ...], form: ListFormat, names: tuple[str, ...] | None
) -> VideoIndex:
    """Cached while the lists stay the same, since classes and clips are read several times."""
    return _Lists(root, form, names).read({split: path for split, path, _ in files})


@dataclass
class _Lists:
    """Lists on their way to an index."""

    root: Path
    form: ListFormat
    names: Sequence[str] | None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sets: dict[frozenset[int], int] = field(default_factory=dict)
    """Of several labels per clip, by their numbers, in order."""

    def read(self, files: Mapping[str, Path]) -> VideoIndex:
        entries = {split: self._parse(split, path) for split, path in files.items()}
        ids = self._ids({one for found in entries.values() for label in found.labels for one in self._split(label)})
        clips = Clips(self.root)
        splits: dict[str, Names] = {}
        for split, lines in entries.items():
            places = self._read_clips(clips, files[split], lines, self._prefix(split, lines), ids)
            splits[split] = clips.ids.at(places)
            self._check_leaks(files, split, splits)
        raise_problems(f"the lists of {self.root}", self.problems, _HINT)
        several = tuple(self.sets) if self.form.several else None
        used = clips.labels() if several is None else set[int | None]().union(*several)
        labels = tuple(self.names) if self.names else _class_names(ids, used)
        divided = {} if "all" in splits else splits
        self.notes += self._unlisted(clips)
        self.notes += notes_on_classes(clips, divided, labels, several)
        if not self.form.first and 0 not in used:
            self.notes.append("no clip has the label 0: labels count from 0")
        return VideoIndex(clips, labels, divided, tuple(self.notes), several)

    def _parse(self, split: str, path: Path) -> Entries:
        """The lines of a list; invalid ones are added to the problems."""
        lines = Lines(_text(path))
        columns = Columns.of(lines[0][1]) if lines and self.form.separator is None else None
        if columns:
            lines, columns = lines.without_first(), None if columns.plain else columns
            if self.form.several and columns:
                self.problems.append(f"{path.name} is a table with a header: the data set video_table reads these")
                return Entries()
        elif lines and (columns := numbered_columns(lines)):
            self.notes.append(f"{path.name}: its first column, which counts the lines, is ignored")
        if lines and not columns and self.form.separator is None and (numbers := self._frame_numbers(lines)):
            return self._parse_frames(path, lines, numbers)
        if lines and not columns and all(is_path(line) for _, line in lines) and self._in_folders(lines):
            self.notes.append(f"{path.name} has no labels: they are taken from the folders in its paths")
            return Entries((number, line.strip('"'), _folder(line)) for number, line in lines)
        if split == "test" and lines and not columns and all(is_path(line) for _, line in lines):
            self.notes.append(f"{path.name} has no labels: nothing can be scored on it")
            return Entries((number, line.strip('"'), "") for number, line in lines)
        entries = Entries()
        before = len(self.problems)
        for number, line in lines:
            if problem := self._add(entries, number, line, columns):
                self.problems.append(f"{path.name}:{number}: {problem}")
        parts = {columns.part(line) for _, line in lines} if columns else set()
        if len(parts) > 1 or any(split_of_folder(part) not in {None, split} for part in parts):
            self.problems.append(
                f"{path.name}: its split column ({listed(sorted(parts))}) is not supported: write a list for each split"
            )
        if _PARTS.search(path.stem) and entries.labels <= {"0", "1", "2"}:
            self.problems.append(
                f"{path.name} is a list of HMDB51: its numbers give the split (1: training, 2: test, 0: neither), not "
                "the class"
            )
        if not entries and len(self.problems) == before:
            self.problems.append(f"{path.name}: lists no clips")
        return entries

    def _frame_numbers(self, lines: Lines) -> int:
        """How many numbers follow the folder in each line of a list of folders of frames; 0 for other lists.

        Names of folders can end in numbers, so it is looked up which folders there are.
        """
        found = [match for _, line in lines if (match := FRAME_LINE.fullmatch(line))]
        if len(found) < len(lines):
            return 0
        if self.form.several:
            return 2
        roots = (self.form.prefix or self.root, *split_folders(self.root).values())
        probed = [line for _, line in lines[:: max(1, len(lines) // _PROBED)]]
        hits = {
            count: sum(any((root / line.rsplit(maxsplit=count)[0]).is_dir() for root in roots) for line in probed)
            for count in (1, 2, 3)
        }
        count = max(hits, key=hits.__getitem__)
        return (count if count > 1 else 0) if hits[count] else min(len(match[1].split()) for match in found)

    def _parse_frames(self, path: Path, lines: Lines, numbers: int) -> Entries:
        """Lines of mmaction2's lists of folders of frames, see `split_frames`."""
        start, labels = "place of the first frame, " * (numbers == 3), "labels" if self.form.several else "label"
        self.notes.append(f"{path.name}: each line is read as folder, {start}number of frames, {labels}")
        entries = Entries()
        for number, line in lines:
            folder, part, label = split_frames(line, numbers, self.form.several)
            if part[1] < 1:
                self.problems.append(f"{path.name}:{number}: {folder} has {part[1]} frames in it")
            entries.add(number, folder, label, part)
        return entries

    def _in_folders(self, lines: Sequence[tuple[int, str]]) -> bool:
        """Whether each path is in a folder named after a class."""
        known = {label_key(name) for name in self.names or ()}
        return all(label_key(_folder(line)) in known for _, line in lines)

    def _add(self, entries: Entries, number: int, line: str, columns: "Columns | None") -> str | None:
        """Add the entry of a line, or say what is wrong with it."""
        named = self.form.named or self.names is not None
        if self.form.several and not columns:
            file, label = split_several(line, self.form.separator)
        else:
            file, label = columns.cells(line) if columns else split_line(line, self.form.separator, named)
        if not entries and label.lower() in {"label", "labels", "class"} and not is_path(file):
            return None  # a header
        if not file or not label or is_path(label):
            return f"no label in {line!r}"
        if not is_path(file) and _SEVERAL.search(file):
            return f"more than one label in {line!r}; if clips have several, set dataset.multilabel: true"
        entries.add(number, file, label)
        return None

    def _split(self, label: str) -> Collection[str]:
        """The labels of an entry; none where it has no label."""
        return labels_of(label) if self.form.several else [label] if label else []

    def _ids(self, different: set[str]) -> dict[str, int]:
        """Ids by the labels of a list, as far as these are valid."""
        first = self.form.first
        integers = {label: int(label) - first for label in different if re.fullmatch(r"-?\d+", label)}
        if self.names:
            by_name = {label_key(name): number for number, name in enumerate(self.names)}
            named = {label: by_name[label_key(label)] for label in different if label_key(label) in by_name}
            return named | integers
        if self.form.named and not integers:
            self._check_spellings(sorted(different))
            return {label: number for number, label in enumerate(sorted(different))}
        return integers

    def _check_spellings(self, names: Sequence[str]) -> None:
        """Refuse names that differ only in capitals, underscores or the form of accents: two classes by mistake."""
        first: dict[str, str] = {}
        for name in names:
            other = first.setdefault(label_key(name), name)
            if other != name:
                self.problems.append(f"the classes {other!r} and {name!r} are spellings of the same name")

    def _prefix(self, split: str, entries: Sequence[Entry]) -> Path:
        """The folder that the paths of a list are relative to; for mmaction2's lists it is a folder per split."""
        if self.form.prefix is not None:
            return self.form.prefix
        folder = split_folders(self.root).get(split)
        if folder is None:
            return self.root
        probed = entries[:: max(1, len(entries) // _PROBED)]
        hits = [sum((prefix / entry.path).exists() for entry in probed) for prefix in (self.root, folder)]
        return folder if hits[1] > hits[0] else self.root

    def _read_clips(
        self, clips: Clips, path: Path, entries: Sequence[Entry], prefix: Path, ids: Mapping[str, int]
    ) -> "array[int]":
        """Add the clips of a list; returns their numbers, in the order of the list."""
        added = array("i")
        lines = array("q", bytes(8 * len(clips)))  # of each clip in this list
        twice: list[str] = []
        base, root = str(prefix), f"{self.root}{os.sep}"
        for entry in entries:
            place = f"{path.name}:{entry.line}"
            if problem := self._wrong(entry.label, ids):
                self.problems.append(f"{place}: {problem}")
                continue
            label = self._label(entry.label, ids)
            relative = posixpath.normpath(entry.path)
            if relative.startswith("../") or relative == "..":
                self.problems.append(f"{place}: the path {entry.path} leads out of {prefix}")
                continue
            file = os.path.join(base, relative)  # noqa: PTH118 (a hundred thousand times)
            name = file.removeprefix(root).lstrip("/").replace(os.sep, "/")
            if entry.part and entry.part[0]:  # a folder can have several clips
                name = f"{name}_{entry.part[0]}-{sum(entry.part)}"
            if not name.isascii():
                name, file = unicodedata.normalize("NFC", name), str(find_spelled(Path(file)))
            number = clips.add(name)
            if number == len(lines):
                lines.append(0)
            if not lines[number]:
                clips.put(number, name, Clip(file, label, entry.part))
                added.append(number)
                lines[number] = entry.line
            elif clips.label(number) == label:
                twice.append(f"line {entry.line}")
            else:
                said = ", ".join(self._split(entry.label)) or "none"
                self.problems.append(
                    f"{place}: {entry.path} has the label {said}, but another one in line {lines[number]}"
                )
        if twice:
            repeated = listed(twice)
            self.notes.append(f"{path.name}: {len(twice)} duplicate lines are ignored: {repeated}")
        return added

    def _wrong(self, label: str, ids: Mapping[str, int]) -> str | None:
        """What is wrong with the label, or labels, of an entry."""
        count = len(self.names) if self.names else None
        for one in self._split(label):
            if one not in ids:
                known = f" or one of the {count} class names" if count else ""
                return f"the label {one!r} is not an integer{known}"
            if ids[one] < 0 or (count is not None and ids[one] >= count):
                first = self.form.first
                allowed = f"{first} to {count - 1 + first}" if count else "0, 1, 2, ..."
                return f"the label {one} is out of range, labels are {allowed}"
        return None

    def _label(self, label: str, ids: Mapping[str, int]) -> int | None:
        """The id of an entry's class, or the number of its set of labels; None where it has none."""
        if not label:
            return None
        if not self.form.several:
            return ids[label]
        return self.sets.setdefault(frozenset(ids[one] for one in labels_of(label)), len(self.sets))

    def _unlisted(self, clips: Clips) -> tuple[str, ...]:
        """Notes on videos that the lists do not name."""
        paths = map(clips.path, range(len(clips)))
        folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 (a hundred thousand times)
        beside = (path for folder in sorted(folders) for path in find_files(Path(folder), recursive=False))
        others = [path for path in beside if is_path(path.name) and not clips.has_file(path)]
        return name_left_out(self.root, others, (), lambda _: "not in any list")

    def _check_leaks(self, files: Mapping[str, Path], split: str, splits: Mapping[str, Names]) -> None:
        """Refuse training clips that are held out too; validation and test can be the same list."""
        found = splits[split]
        for other, ids in splits.items():
            if other != split and "train" in (split, other):
                shared = [case for case in ids if case in found]
                first, second = files[other].name, files[split].name
                self.problems += [f"{case} is in both {first} and {second}: trained on and held out" for case in shared]


def _called(root: Path, names: Sequence[str], patterns: Sequence[str]) -> list[Path]:
    found = {path for name in names for pattern in patterns for path in root.glob(pattern.format(name))}
    return sorted(path for path in found if path.is_file())  # opening a pipe would block forever


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (
            f"is not UTF-8 text: {error.reason}"
            if isinstance(error, UnicodeDecodeError)
            else f"cannot be read: {error}"
        )
        raise DataError(f"the list {path} {reason}") from None
    if "youtube_id" in text.partition("\n")[0]:
        raise DataError(
            f"{path} is a list of videos to download, not of files",
            hint="sort the clips into one folder per class, or write lists: `path label` in each line",
        )
    return text


def _folder(line: str) -> str:
    """Name of the folder that a path is in."""
    return posixpath.basename(posixpath.dirname(line.strip('"')))


def _class_names(ids: Mapping[str, int], used: Collection[int | None]) -> tuple[str, ...]:
    names = {number: label for label, number in ids.items() if not re.fullmatch(r"-?\d+", label)}
    last = max((label for label in used if label is not None), default=-1)
    return tuple(names.get(number, f"class {number}") for number in range(last + 1))
