"""The index of clips of a video data set, and finding them in folders of classes."""

import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import by_name, check_folder, check_usable, name_left_out, walk_files
from medvid.data.names import Names
from medvid.data.videos.clips import Clip, Clips
from medvid.data.videos.frame_files import FILMS, is_dicom, is_frame, is_frame_folder
from medvid.data.videos.labels import label_key
from medvid.errors import DataError
from medvid.sentences import in_lines, listed, shown_name

ENCODED = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".avi", ".divx", ".xvid", ".wmv", ".asf"),
    *(".flv", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".ogv", ".gif"),
)
"""Endings of the files that FFmpeg decodes."""
SUFFIXES = (*ENCODED, *FILMS)
"""Endings of the files that count as videos."""
KINDS = f"files ({', '.join(SUFFIXES)}) or folders of numbered pictures"
"""What counts as a video, for messages."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_MISPLACED = "not in the folder of a class of a split"


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """The content of a data set according to lists or folders, whether or not the files exist.

    Args:
        clips: every clip by its id, in a fixed order.
        labels: name of each class by its id.
        splits: the ids of each split; empty if the data set is not divided.
        notes: what is unusual but can be used.
        several: of clips with any number of labels, the sets of them; a clip's label is the number of its set.
    """

    clips: Clips
    labels: tuple[str, ...]
    splits: Mapping[str, Names]
    notes: tuple[str, ...] = ()
    several: tuple[frozenset[int], ...] | None = None

    def answer(self, place: int) -> int | tuple[float, ...] | None:
        """The class of the clip with a number, or 1 and 0 of each label; None if unknown."""
        label = self.clips.label(place)
        if label is None or self.several is None:
            return label
        return tuple(float(number in self.several[label]) for number in range(len(self.labels)))


def raise_problems(place: str, problems: Sequence[str], hint: str = "") -> None:
    """Report everything that is wrong in some files at once: the first ten problems, and how many there are.

    Raises:
        DataError: there are problems.
    """
    if problems:
        raise DataError(f"{len(problems)} problems in {place}:{in_lines(problems)}", hint=hint)


def split_of_folder(name: str) -> str | None:
    """The split of a folder's name: ``train``, ``videos_val``, ``test_256`` ..."""
    bare = re.sub(r"^videos_|_\d+$", "", name.lower())
    return _SPLITS.get(bare)


def split_folders(root: Path, *, nested: bool = False) -> dict[str, Path]:
    """The split folders in `root` by split.

    Args:
        root: the data set's folder.
        nested: only those that hold folders.

    Raises:
        DataError: `root` is not a folder, or has two folders for one split.
    """
    check_folder(root)
    found: dict[str, Path] = {}
    for folder in _folders(root):
        split = split_of_folder(folder.name)
        if split is None or (nested and not _folders(folder)):
            continue
        if split in found:
            raise DataError(
                f"{found[split].name} and {folder.name} in {root} could both be the {split} split",
                hint="move one of them elsewhere",
            )
        found[split] = folder
    return found


def find_class_names(root: Path) -> tuple[str, ...]:
    """Names of the folders that hold videos, of all splits together, in alphabetical order.

    Raises:
        DataError: there are none, or two are spellings of the same name.
    """
    names = tuple(sorted({name for _, folder in _class_roots(root) for name in _videos_of_classes(folder)}))
    if not names:
        raise DataError(f"there are no videos in the class folders of {root}: {KINDS}")
    _ids(root, names)
    _check_depth(root, names)
    return names


def find_clips_in_folders(root: Path, names: Sequence[str] | None = None) -> VideoIndex:
    """Index folders of videos by class, in folders train, val (or validation) and test, or directly in `root`.

    A clip is named after its path in `root`. Folders inside a class folder are searched as well. A folder without
    videos is not a class, unless `names` has it.

    Args:
        root: the folder.
        names: names of the classes by id; default: the folder names in alphabetical order.

    Raises:
        DataError: there are no folders or no videos, folders that `names` does not have, two that are spellings of the
            same name, or file names that clash or cannot be printed.
    """
    known = tuple(names or find_class_names(root))
    ids = _ids(root, known)
    clips = Clips(root)
    splits: dict[str, Names] = {}
    strangers: list[str] = []
    empty: list[str] = []
    for split, parent in _class_roots(root):
        first, videos = len(clips), _videos_of_classes(parent)
        for name in _class_folders(parent):
            label, place = ids.get(label_key(name)), str((parent / name).relative_to(root))
            if label is not None:
                for case, path in _named(root, videos.get(name, [])).items():
                    clips.put(clips.add(case), case, Clip(str(path), label))
            else:
                (strangers if name in videos else empty).append(place)
        splits[split] = clips.ids.at(range(first, len(clips)))
    if strangers:
        raise DataError(
            f"{len(strangers)} folders in {root} are not among the {len(known)} class names: {listed(strangers)}",
            hint="rename them, or set dataset.labels",
        )
    if not clips:
        raise DataError(f"there are no videos in the class folders of {root}: {KINDS}")
    splits.pop("", None)
    notes = [f"{len(empty)} folders without videos do not count as classes: {listed(empty)}"] if empty else []
    if folders := sum(not clips.path(place).lower().endswith(SUFFIXES) for place in range(len(clips))):
        notes.append(f"{folders} of {len(clips)} videos are folders of numbered pictures")
    notes += _left_out(root, clips)
    return VideoIndex(clips, known, splits, (*notes, *notes_on_classes(clips, splits, known)))


def notes_on_classes(
    clips: Clips,
    splits: Mapping[str, Sequence[str]],
    names: Sequence[str],
    several: Sequence[frozenset[int]] | None = None,
) -> tuple[str, ...]:
    """Notes on unusual classes, or labels: without clips, or without training clips.

    Args:
        clips: all clips of the data set.
        splits: the ids of each split.
        names: names of the classes by id.
        several: as of `VideoIndex`.
    """
    used, what = _used(clips.labels(), several), "classes" if several is None else "labels"
    absent = [name for label, name in enumerate(names) if label not in used]
    notes = [f"{len(absent)} of {len(names)} {what} have no clips: {listed(absent)}"] if absent else []
    if len(names) == 1 and several is None:
        notes.append(f"there is only one class, {names[0]}, so every prediction is right")
    trained = _used(clips.labels(splits["train"]), several) if "train" in splits else used
    held_out = [name for label, name in enumerate(names) if label in used - trained]
    if held_out:
        notes.append(f"{len(held_out)} {what} are held out but have no training clips: {listed(held_out)}")
    return tuple(notes)


def _used(found: set[int | None], several: Sequence[frozenset[int]] | None) -> set[int | None]:
    """The classes, or labels, that clips with these labels have."""
    if several is None:
        return found
    return {one for label in found if label is not None for one in several[label]}


def find_videos(paths: Sequence[Path]) -> dict[str, Clip]:
    """Clips without labels from files, and folders of frames or of videos, for prediction, by name.

    Raises:
        DataError: a path is missing, is not a video or holds none, or two have the same name.
    """
    found: dict[str, Clip] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
        if not path.is_dir() and not is_video(path) and not is_dicom(path):
            raise DataError(f"{path} is not a video; these are {KINDS}")
        if path.is_dir() and not is_frame_folder(path, SUFFIXES):
            files = _named(path, list(_videos_in(path)))
            if not files:
                raise DataError(f"no videos in {path}: {KINDS}")
        else:
            files = _named(path.absolute().parent, [path.absolute()])
        for name, file in files.items():
            if name in found and os.path.realpath(file) != os.path.realpath(found[name].path):
                raise DataError(
                    f"two videos are called {name}: {found[name].path} and {file}",
                    hint="predict them separately, into different folders",
                )
            found.setdefault(name, Clip(str(file)))
    return found


def left_out_of(paths: Sequence[Path]) -> list[str]:
    """Notes on files that are not videos, nor frames of one, in folders given for prediction."""
    return [line for path in paths for line in name_left_out(path, _others_in(path), (), lambda _: "not videos")]


def _class_roots(root: Path) -> list[tuple[str, Path]]:
    """Folders that hold one folder per class, with their splits; `root` itself, without a split, if it is undivided.

    Raises:
        DataError: there are no such folders, or one called train could be a split or a class.
    """
    divided = split_folders(root, nested=True)
    if "train" not in divided:
        if divided:
            names = listed([folder.name for folder in divided.values()])
            raise DataError(
                f"{names} in {root} could be splits or classes: they hold folders, and none is called train",
                hint="name the folder of training clips train; or rename the classes",
            )
        if not _class_folders(root):
            raise DataError(
                f"there are neither lists (train.csv, val.csv) nor folders of classes in {root}",
                hint="set dataset.root, or name the lists in dataset.lists",
            )
        return [("", root)]
    others = [folder for folder in _folders(root) if folder not in divided.values()]
    if len(divided) == 1 and (classes := [folder.name for folder in others if _holds_videos(folder)]):
        name = divided["train"].name
        raise DataError(
            f"{name} in {root} could be the training split or a class, since {listed(classes)} beside it hold videos",
            hint=f"move everything that is not part of a split elsewhere, or rename the class {name}",
        )
    return sorted(divided.items())


def _check_depth(root: Path, names: Sequence[str]) -> None:
    """Refuse to take for a class a folder that contains the split or class folders, as unpacked downloads have it.

    Raises:
        DataError: naming the folder.
    """
    for _, parent in _class_roots(root):
        for name in names:
            if (parent / name).is_dir() and "train" in split_folders(parent / name):
                raise DataError(
                    f"{name} in {root} would be a class, but holds a folder for training",
                    hint="set dataset.root to it; or put its clips into class folders inside split folders: "
                    "train/CLASS, val/CLASS",
                )
    if len(names) > 1:
        return
    for _, parent in _class_roots(root):
        within = [folder.name for folder in _folders(parent / names[0]) if _holds_videos(folder)]
        if len(within) > 1:
            folder = parent.relative_to(root) / names[0]
            raise DataError(
                f"{folder} would be the only class in {root}, but its folders hold the videos: {listed(within)}",
                hint=f"if these are the classes, set dataset.root to {parent / names[0]}",
            )


def _videos_of_classes(parent: Path) -> dict[str, list[Path]]:
    """The videos below each folder in `parent` that holds any, by the folder's name."""
    videos: dict[str, list[Path]] = {}
    depth = len(parent.parts)
    for path in _videos_in(parent):
        if len(path.parts) > depth + 1:
            videos.setdefault(path.parts[depth], []).append(path)
    return videos


def _videos_in(folder: Path) -> Iterator[Path]:
    """The videos below a folder, in a fixed order: files, and folders of numbered pictures beside which none lies."""
    frames: dict[Path, bool] = {}
    for path in walk_files(folder):
        if is_video(path):
            yield path
        elif is_frame(path.name) and path.parent not in frames:
            frames[path.parent] = path.parent != folder and is_frame_folder(path.parent, SUFFIXES)
            if frames[path.parent]:
                yield path.parent


def _others_in(folder: Path) -> list[Path]:
    """The files below a folder, or in a folder of frames, that are not of `_videos_in`."""
    frames = {path for path in _videos_in(folder) if not is_video(path)}
    if folder.is_dir() and is_frame_folder(folder, SUFFIXES):
        frames.add(folder)
    return [path for path in walk_files(folder) if not is_video(path) and not _is_frame_in(path, frames)]


def _is_frame_in(path: Path, frames: Container[Path]) -> bool:
    return path.parent in frames and is_frame(path.name)


def _named(root: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Files by their paths in a folder, all of them printable and different."""
    check_usable(root, [path for path in files if shown_name(path) != str(path)])
    hint = "rename one of them"
    return by_name(((path.relative_to(root).as_posix(), path) for path in files), "videos", hint)


def _left_out(root: Path, clips: Clips) -> tuple[str, ...]:
    """Notes on all other files."""
    frames = {path for path in map(Path, map(clips.path, range(len(clips)))) if not is_video(path)}
    files = [path for path in walk_files(root) if not clips.has_file(path) and not _is_frame_in(path, frames)]
    return name_left_out(root, files, (), lambda path: _MISPLACED if is_video(path) else "not videos")


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def _holds_videos(folder: Path) -> bool:
    return any(True for _ in _videos_in(folder))


def _ids(root: Path, names: Sequence[str]) -> dict[str, int]:
    """Ids by a key that all spellings of a name share."""
    ids: dict[str, int] = {}
    for number, name in enumerate(names):
        if shown_name(name) != name:
            raise DataError(
                f"the name of the class {shown_name(name)} in {root} is not printable UTF-8", hint="rename it"
            )
        other = ids.setdefault(label_key(name), number)
        if other != number:
            raise DataError(
                f"the classes {names[other]!r} and {name!r} in {root} are spellings of the same name",
                hint="give both the same name, or names that differ in more than capitals and underscores",
            )
    return ids


def _folders(root: Path) -> list[Path]:
    return [folder for folder in sorted(root.iterdir()) if folder.is_dir() and folder.name[0] != "."]


def _class_folders(root: Path) -> list[str]:
    return [folder.name for folder in _folders(root)]
