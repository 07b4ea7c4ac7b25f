"""Finding the clips of a video data set in folders of classes, and what an index of clips is. Imports nothing heavy."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.video_labels import label_key
from medvid.errors import DataError

SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts")
"""Endings of the files that are taken for videos."""

READABLE = tuple(suffix for suffix in SUFFIXES if suffix not in {".mpg", ".mpeg", ".ts"})
"""Those to recommend: of MPEG streams, most are refused, see `medvid.data.video_faults`."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of the data set.

    Args:
        path: its file.
        label: id of its class; None where it is not known.
    """

    path: str
    label: int | None = None


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """What lists or folders say is in a data set; whether the files are there is another question.

    Args:
        clips: every clip by its id, in a fixed order.
        labels: name of each class by its id.
        splits: the ids of each split; empty where nothing divides the data set.
        notes: what is unusual, but can be used.
    """

    clips: Mapping[str, Clip]
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def raise_problems(place: str, problems: Sequence[str], hint: str = "") -> None:
    """Report everything that is wrong in some files at once: the first ten problems, and how many there are.

    Raises:
        DataError: there are problems.
    """
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError(f"{len(problems)} problems in {place}:{lines}{more}", hint=hint)


def split_of_folder(name: str) -> str | None:
    """The split that a folder is for: ``train``, ``videos_val``, ``test_256`` ..."""
    bare = re.sub(r"^videos_|_\d+$", "", name.lower())
    return _SPLITS.get(bare)


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of splits in `root` by split.

    Raises:
        DataError: `root` is no folder, or has two folders of one split.
    """
    if not root.is_dir():
        raise DataError(f"the data set's folder {root} does not exist", hint="set dataset.root")
    found: dict[str, Path] = {}
    for folder in _folders(root):
        if split := split_of_folder(folder.name):
            if split in found:
                raise DataError(
                    f"{found[split].name} and {folder.name} in {root} could both be the split {split}",
                    hint="move one of them elsewhere",
                )
            found[split] = folder
    return found


def find_class_names(root: Path) -> tuple[str, ...]:
    """Names of the folders that hold videos, of all splits together, in alphabetical order.

    Raises:
        DataError: there are none, or two are spellings of the same name.
    """
    holds_videos = (folder.name for _, folder in _folders_of_classes(root) if next(_walk(folder), None))
    names = tuple(sorted(set(holds_videos)))
    if not names:
        raise DataError(f"there are no videos ({', '.join(READABLE)}) in the class folders of {root}")
    _ids(root, names)
    return names


def find_clips_in_folders(root: Path, names: Sequence[str] | None = None) -> VideoIndex:
    """Index folders of videos by class, in folders train, val (or validation) and test, or directly in `root`.

    A clip is called by its path in `root`. Folders within that of a class are searched as well. One that holds no
    videos is no class, unless it is named.

    Args:
        root: the folder.
        names: names of the classes by id, if not those of the folders in alphabetical order.

    Raises:
        DataError: there are no folders or no videos, folders that are not named in `names`, or two that are spellings
            of the same name.
    """
    known = tuple(names or find_class_names(root))
    ids = _ids(root, known)
    clips: dict[str, Clip] = {}
    listed: dict[str, list[str]] = {}
    strangers: list[str] = []
    empty: list[str] = []
    for split, folder in _folders_of_classes(root):
        videos, in_split = list(_walk(folder)), listed.setdefault(split, [])
        label = ids.get(label_key(folder.name))
        if label is None:
            (strangers if videos else empty).append(str(folder.relative_to(root)))
            continue
        found = {os.path.relpath(path, root).replace(os.sep, "/"): Clip(path, label) for path in videos}
        clips |= found
        in_split += found
    if strangers:
        raise DataError(
            f"{len(strangers)} folders in {root} are not among the {len(known)} class names: {_listed(strangers)}",
            hint="rename them, or set dataset.labels",
        )
    if not clips:
        raise DataError(f"there are no videos ({', '.join(READABLE)}) in the class folders of {root}")
    splits = {split: tuple(cases) for split, cases in listed.items() if split}
    notes = [f"{len(empty)} folders hold no videos and are no classes: {_listed(empty)}"] if empty else []
    return VideoIndex(clips, known, splits, (*notes, *notes_on_classes(clips, splits, known)))


def notes_on_classes(
    clips: Mapping[str, Clip], splits: Mapping[str, Sequence[str]], names: Sequence[str]
) -> tuple[str, ...]:
    """What is unusual about the classes: some have no clips, or none to train on.

    Args:
        clips: all clips of the data set.
        splits: the ids of each split.
        names: names of the classes by id.
    """
    used = {clip.label for clip in clips.values()}
    absent = [name for label, name in enumerate(names) if label not in used]
    notes = [f"{len(absent)} of {len(names)} classes have no clips: {_listed(absent)}"] if absent else []
    trained = {clips[case].label for case in splits["train"]} if "train" in splits else used
    held_out = [name for label, name in enumerate(names) if label in used - trained]
    if held_out:
        notes.append(f"{len(held_out)} classes are held out but have no training clips: {_listed(held_out)}")
    return tuple(notes)


def find_videos(paths: Sequence[Path]) -> dict[str, Clip]:
    """Clips without labels from files and folders, for prediction, by name.

    Raises:
        DataError: a path is missing, is no video or holds none, or two have the same name.
    """
    found: dict[str, Clip] = {}
    for path in paths:
        if path.is_dir():
            files = [(os.path.relpath(file, path).replace(os.sep, "/"), file) for file in _walk(path)]
            if not files:
                raise DataError(f"no videos ({', '.join(READABLE)}) in {path}")
        elif not path.is_file():
            raise DataError(f"{path} does not exist")
        elif path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path} is no video: {', '.join(READABLE)} can be read")
        else:
            files = [(path.name, str(path))]
        for name, file in files:
            if name in found and os.path.realpath(file) != os.path.realpath(found[name].path):
                raise DataError(
                    f"two videos are called {name}: {found[name].path} and {file}",
                    hint="predict them one after the other, into different folders",
                )
            found.setdefault(name, Clip(file))
    return found


def _class_roots(root: Path) -> list[tuple[str, Path]]:
    """Folders that hold one folder per class, with their splits; `root` itself, without a split, if it is undivided."""
    divided = [(split, folder) for split, folder in split_folders(root).items() if _class_folders(folder)]
    roots = divided if any(split == "train" for split, _ in divided) else [("", root)]
    if not any(_class_folders(folder) for _, folder in roots):
        raise DataError(
            f"there are neither lists (train.csv, val.csv) nor folders of classes in {root}",
            hint="set dataset.root, or name the lists in dataset.lists",
        )
    return sorted(roots)


def _folders_of_classes(root: Path) -> list[tuple[str, Path]]:
    """The folders that may be those of classes, with their splits."""
    return [(split, parent / name) for split, parent in _class_roots(root) for name in _class_folders(parent)]


def _ids(root: Path, names: Sequence[str]) -> dict[str, int]:
    """Id by what the spellings of a name have in common."""
    ids: dict[str, int] = {}
    for number, name in enumerate(names):
        other = ids.setdefault(label_key(name), number)
        if other != number:
            raise DataError(
                f"the classes {names[other]!r} and {name!r} in {root} are spellings of the same name",
                hint="give both the same name, or names that differ by more than capitals and underscores",
            )
    return ids


def _folders(root: Path) -> list[Path]:
    return [folder for folder in sorted(root.iterdir()) if folder.is_dir() and folder.name[0] != "."]


def _class_folders(root: Path) -> list[str]:
    return [folder.name for folder in _folders(root)]


def _walk(folder: Path) -> Iterator[str]:
    """The videos in a folder and those within it, in a fixed order."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(files):
            if name[0] != "." and name.lower().endswith(SUFFIXES):
                yield os.path.join(parent, name)  # noqa: PTH118 (a hundred thousand times)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
