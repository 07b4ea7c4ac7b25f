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
    """Names of the classes that have a folder, of all splits together, in alphabetical order.

    Raises:
        DataError: there are none.
    """
    return tuple(sorted({name for _, folder in _class_roots(root) for name in _class_folders(folder)}))


def find_clips_in_folders(root: Path, names: Sequence[str] | None = None) -> VideoIndex:
    """Index folders of videos by class, in folders train, val (or validation) and test, or directly in `root`.

    A clip is called by its path in `root`. Folders within that of a class are searched as well.

    Args:
        root: the folder.
        names: names of the classes by id, if not those of the folders in alphabetical order.

    Raises:
        DataError: there are no folders or no videos, or folders that are not named in `names`.
    """
    known = tuple(names or find_class_names(root))
    ids = {label_key(name): number for number, name in enumerate(known)}
    clips: dict[str, Clip] = {}
    splits: dict[str, tuple[str, ...]] = {}
    strangers: list[str] = []
    for split, folder in _class_roots(root):
        found: dict[str, Clip] = {}
        for name in _class_folders(folder):
            if label_key(name) not in ids:
                strangers.append(str((folder / name).relative_to(root)))
                continue
            label = ids[label_key(name)]
            found |= {
                os.path.relpath(path, root).replace(os.sep, "/"): Clip(path, label) for path in _walk(folder / name)
            }
        clips |= found
        if split:
            splits[split] = tuple(found)
    if strangers:
        raise DataError(
            f"{len(strangers)} folders in {root} are not among the {len(known)} class names: "
            f"{', '.join(strangers[:_SHOWN])}{' ...' if len(strangers) > _SHOWN else ''}",
            hint="rename them, or set dataset.labels",
        )
    if not clips:
        raise DataError(f"there are no videos ({', '.join(SUFFIXES)}) in the class folders of {root}")
    return VideoIndex(clips, known, splits, _untrained(clips, splits, known))


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
                raise DataError(f"no videos ({', '.join(SUFFIXES)}) in {path}")
        elif not path.is_file():
            raise DataError(f"{path} does not exist")
        elif path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path} is no video: {', '.join(SUFFIXES)} can be read")
        else:
            files = [(path.name, str(path))]
        for name, file in files:
            if name in found:
                raise DataError(
                    f"two videos are called {name}: {found[name].path} and {file}",
                    hint="predict them one after the other, into different folders",
                )
            found[name] = Clip(file)
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


def _untrained(
    clips: Mapping[str, Clip], splits: Mapping[str, tuple[str, ...]], names: Sequence[str]
) -> tuple[str, ...]:
    """A note on classes that are held out but not trained on."""
    by_split = {split: {clips[case].label for case in ids} for split, ids in splits.items()}
    missing = set().union(*by_split.values()) - by_split["train"] if "train" in by_split else set()
    shown = ", ".join(names[label] for label in sorted(label for label in missing if label is not None)[:_SHOWN])
    return (f"{len(missing)} classes are held out but have no training clips: {shown}",) if missing else ()
