"""Reading the annotations of Something-Something V2."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvid.data.listing import check_folder, name_left_out
from medvid.data.videos.clips import Clip, Clips
from medvid.data.videos.index import VideoIndex, notes_on_classes, raise_problems
from medvid.data.videos.labels import label_key, read_labels
from medvid.errors import DataError

_KINDS = ("train", "validation", "labels")
_FOLDERS = ("", "labels", "annotations")
_VIDEOS = ("20bn-something-something-v2", "videos", "rawframes", "frames")
_SUFFIXES = (".webm", ".mp4")


def find_annotations(root: Path, folder: Path | None = None) -> dict[str, Path]:
    """The files train, validation and labels.

    Raises:
        DataError: one of them is missing.
    """
    check_folder(root)
    folders = [root / folder] if folder else [root / name for name in _FOLDERS]
    found: dict[str, Path] = {}
    for kind in _KINDS:
        names = (f"something-something-v2-{kind}.json", f"{kind}.json")
        files = [place / name for place in folders for name in names if (place / name).is_file()]
        if not files:
            raise DataError(f"there is no {names[0]} or {names[1]} in {root}", hint="set dataset.annotations")
        found[kind] = files[0]
    return found


def read_index(root: Path, annotations: Path | None = None, videos: Path | None = None) -> VideoIndex:
    """Index the training and validation videos.

    Raises:
        DataError: files are missing, or all problems in them.
    """
    files = find_annotations(root, annotations)
    labels = read_labels(files["labels"])
    folder = _find_videos(root, videos)
    present = {entry.name for entry in folder.iterdir()}
    ids = {label_key(name): number for number, name in enumerate(labels)}
    problems: list[str] = []
    splits: dict[str, dict[str, Clip]] = {}
    for split in ("train", "validation"):
        splits[split] = {}
        for number, record in enumerate(_read(files[split])):
            video, label = str(record.get("id", "")), ids.get(_template(record))
            if not video.isalnum():
                problems.append(f"{files[split].name}: record {number} has the id {video!r}, which is not a number")
            elif label is None:
                problems.append(f"{files[split].name}: video {video}: {_template(record)!r} is not among the labels")
            elif splits[split].setdefault(video, _clip(folder, video, label, present)).label != label:
                problems.append(f"{files[split].name}: video {video} has two labels")
    shared = [video for video in splits["train"] if video in splits["validation"]]
    problems += [f"video {video} is in both train and validation: trained on and held out" for video in shared]
    raise_problems(f"the annotations of {root}", problems)
    clips = Clips(root, {video: clip for found in splits.values() for video, clip in found.items()})
    divided = {split: clips.ids.at(clips.places(tuple(found))) for split, found in splits.items()}
    used = {Path(clips.path(place)).name for place in range(len(clips))}
    others = [folder / name for name in sorted(present) if name.endswith(_SUFFIXES) and name not in used]
    notes = name_left_out(root, others, (), lambda _: "not in the annotations for training or validation")
    return VideoIndex(clips, labels, divided, (*notes, *notes_on_classes(clips, divided, labels)))


def _find_videos(root: Path, videos: Path | None) -> Path:
    folders = [root / videos] if videos else [root / name for name in _VIDEOS]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if videos and not found:
        raise DataError(f"the folder of the videos {root / videos} does not exist", hint="set dataset.videos")
    return found or root


def _clip(folder: Path, video: str, label: int, present: set[str]) -> Clip:
    names = [*(f"{video}{suffix}" for suffix in _SUFFIXES), video]  # the last is a folder of frames
    name = next((name for name in names if name in present), names[0])
    return Clip(f"{folder}/{name}", label)


def _template(record: Mapping[str, Any]) -> str:
    """The class name in the labels file: the template without brackets."""
    return label_key(str(record.get("template", "")).replace("[", "").replace("]", ""))


def _read(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise DataError(f"{path} is not a list of records with id and template")
    return content
