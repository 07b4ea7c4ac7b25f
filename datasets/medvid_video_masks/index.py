"""Finding videos and their masks in folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medvid.data.groups import groups_by
from medvid.data.images.index import SUFFIXES as PICTURES
from medvid.data.listing import by_name, check_folder, files_below, find_files, name_left_out
from medvid.data.videos.index import SUFFIXES, find_videos, split_folders
from medvid.data.videos.masked.video import FrameMasks, SegmentedVideo
from medvid.errors import DataError
from medvid.sentences import listed
from medvid_video_masks.config import VideoMasksOptions
from medvid_video_masks.masks import PictureMasks, VolumeMasks

_VIDEOS = ("videos", "video", "clips")
_MASKS = ("masks", "mask", "labels", "label")
_VOLUMES = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True)
class MaskIndex:
    """The content of the folder.

    Args:
        videos: those that have masks, by name.
        splits: the names of each split that has a folder.
        notes: sentences about what is left out.
    """

    videos: Mapping[str, SegmentedVideo]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_masked(options: VideoMasksOptions) -> MaskIndex:
    """Index the videos that have masks.

    A video is named like its file, without its ending, or ``<split>_<name>`` where two splits have the same name.

    Raises:
        DataError: a folder is missing, or no video has masks, or masks are ambiguous.
    """
    root = options.root
    check_folder(root)
    divided = {
        split: folder for split, folder in split_folders(root).items() if _present(folder, options.videos, _VIDEOS)
    }
    found: dict[str, dict[str, SegmentedVideo]] = {}
    bare: list[str] = []
    for split, folder in sorted(divided.items()) or [("", root)]:
        found[split], without = _find(folder, options)
        bare += without
    names = [name for videos in found.values() for name in videos]
    clash = len(set(names)) < len(names)
    videos: dict[str, SegmentedVideo] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for split, own in found.items():
        named = {f"{split}_{name}" if clash else name: video for name, video in own.items()}
        videos |= {name: SegmentedVideo(name, video.path, video.masks) for name, video in named.items()}
        splits[split] = tuple(named)
    if not videos:
        raise DataError(
            f"none of the {len(bare)} videos in {root} has masks: {listed(bare)}",
            hint="the masks of videos/a.mp4 are the images in the folder masks/a, or masks/a.nii.gz",
        )
    notes = (f"{len(bare)} videos without masks are left out: {listed(bare)}",) if bare else ()
    splits.pop("", None)
    return MaskIndex(_with_patients(videos, options), splits, (*notes, *_left_out(root, videos)))


def _find(folder: Path, options: VideoMasksOptions) -> tuple[dict[str, SegmentedVideo], list[str]]:
    """The videos of a folder that have masks, and the names of the others."""
    place = _folder(folder, options.videos, _VIDEOS, "videos")
    masks = _folder(folder, options.masks, _MASKS, "masks")
    paths = [Path(clip.path) for clip in find_videos([place]).values()]
    bare = [(path.relative_to(place), path) for path in paths]
    bare = [(name if path.is_dir() else name.with_suffix(""), path) for name, path in bare]
    named = by_name(((_name(name), path) for name, path in bare), "videos", "rename one of them")
    places = {_name(name): masks / name for name, _ in bare}
    found = {name: _masks_of(name, places[name], options) for name in named}
    videos = {name: SegmentedVideo(name, named[name], own) for name, own in found.items() if own is not None}
    return videos, [name for name, own in found.items() if own is None]


def _masks_of(name: str, place: Path, options: VideoMasksOptions) -> FrameMasks | None:
    """The masks of a video: images in a folder of its name, or a file; None if there are neither."""
    pictures = [file for file in find_files(place, recursive=False) if file.suffix.lower() in PICTURES]
    volumes = [file for suffix in _VOLUMES if (file := place.with_name(place.name + suffix)).is_file()]
    if len(volumes) + bool(pictures) > 1:
        there = [*([str(place)] if pictures else []), *map(str, volumes)]
        raise DataError(f"video {name} has masks in several places: {listed(there)}", hint="keep one of them")
    if volumes:
        return VolumeMasks(name, volumes[0], options)
    return PictureMasks(name, place, pictures, options) if pictures else None


def _with_patients(videos: Mapping[str, SegmentedVideo], options: VideoMasksOptions) -> dict[str, SegmentedVideo]:
    if options.patient_pattern is None:
        return dict(videos)
    try:
        patients = groups_by([*videos], options.patient_pattern)
    except DataError as error:
        raise DataError(f"dataset.patient_pattern: {error}", hint="it has to find the patient in each name") from None
    return {name: SegmentedVideo(name, one.path, one.masks, patients[name]) for name, one in videos.items()}


def _folder(folder: Path, name: str | None, names: Sequence[str], option: str) -> Path:
    found = _present(folder, name, names)
    if len(found) != 1:
        several = f"several folders of {option}: {listed([path.name for path in found])}"
        missing = f"no folder {name or ', '.join(names)}"
        raise DataError(f"{folder} has {several if found else missing}", hint=f"set dataset.root or dataset.{option}")
    return found[0]


def _present(folder: Path, name: str | None, names: Sequence[str]) -> list[Path]:
    return [path for candidate in ((name,) if name else names) if (path := folder / candidate).is_dir()]


def _left_out(root: Path, videos: Mapping[str, SegmentedVideo]) -> tuple[str, ...]:
    """Notes on all other files."""
    used = {path for video in videos.values() for path in (*files_below(video.path), *video.masks.files)}
    others = [file for file in find_files(root) if file not in used]
    return name_left_out(root, others, (), _why)


def _why(path: Path) -> str:
    if path.name.lower().endswith(SUFFIXES):
        return "videos without masks, or outside of the folder of videos"
    if path.name.lower().endswith((*PICTURES, *_VOLUMES)):
        return "masks without a video"
    return "neither videos nor masks"


def _name(bare: Path) -> str:
    return bare.as_posix().replace("/", "_")
