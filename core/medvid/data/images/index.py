"""Finding the cases of an image data set: images and masks with matching names.

Every file is used, refused by name, or named as left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medvid.data.listing import (
    OTHER_MASKS,
    by_name,
    check_folder,
    check_no_masks,
    check_usable,
    find_files,
    name_left_out,
    told_apart,
)
from medvid.errors import DataError
from medvid.sentences import listed

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".gif")

_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_IMAGES = ("img", "images", "image")
_MASKS = ("labelcol", "masks", "mask", "labels", "label")
_NUMBER = r"(?:[ _-]?\d+|[ _-]?\(\d+\))"
_SEPARATE_NUMBER = re.compile(r"(?P<image>.+)[_-]\d+")


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of one case.

    Args:
        id: name of the case, unique in its data set and usable as a file name.
        image: the image.
        masks: its mask, or several that each hold a part; empty for a case without one.
    """

    id: str
    image: Path
    masks: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """The contents of a folder.

    Args:
        cases: every case by its id, in a fixed order.
        splits: the ids of each split that has its own folder.
        notes: sentences about files that are left out.
    """

    cases: Mapping[str, ImageFiles]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """A folder of images and a folder of masks, possibly the same.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        files: the files of each image, by its name.
    """

    images: Path
    masks: Path
    files: Mapping[str, ImageFiles]


def find_pairs(root: Path, images: str | None = None, masks: str | None = None, mask_suffix: str = "") -> ImageIndex:
    """Index images and masks in `root`, in its split folders, or in split folders inside the image and mask folders.

    Splits are called train or training, val, valid or validation, and test or testing.

    A case is named after its image, or ``<split>_<image>`` where images of two splits have the same name. The mask of
    ``a`` is called ``a`` plus the suffix; further masks have a number after that.

    Args:
        root: the folder.
        images: folder of images; default: img, images or image.
        masks: folder of masks; default: labelcol, masks, mask, labels or label.
        mask_suffix: what the name of a mask adds to the name of its image.

    Raises:
        DataError: a folder is missing or there are several, an image has no mask (all such images are listed), two
            images or masks of a folder have the same name, or a path is not a file.
    """
    check_folder(root)
    groups = {
        split: _find_group(*folders, mask_suffix) for split, folders in _folder_pairs(root, images, masks).items()
    }
    names = [name for group in groups.values() for name in group.files]
    clash = len(set(names)) < len(names)
    cases: dict[str, ImageFiles] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for split, group in groups.items():
        named = {f"{split}_{name}" if clash else name: files for name, files in group.files.items()}
        cases |= {case: ImageFiles(case, files.image, files.masks) for case, files in named.items()}
        splits[split] = tuple(named)
    used = [path for files in cases.values() for path in (files.image, *files.masks)]
    _check_masks(root, list(cases.values()))
    check_usable(root, used)
    notes = name_left_out(root, find_files(root), used, _reason(list(groups.values()), mask_suffix))
    return ImageIndex(cases, {split: ids for split, ids in splits.items() if split}, notes)


def find_images(paths: Sequence[Path], mask_suffix: str = "", more: Sequence[str] = ()) -> ImageIndex:
    """Cases without masks from files and folders of files, for prediction.

    If a folder holds images, these are taken; otherwise all images in the folders below it, with their folders in the
    name where two have the same name. Masks beside their images are left out.

    Args:
        paths: files and folders.
        mask_suffix: what the name of a mask adds to the name of its image; default: _mask.
        more: endings of images, besides the usual ones.

    Raises:
        DataError: a path is missing, is not an image or holds none, or two images have the same name.
    """
    found: list[Path] = []
    notes: list[str] = []
    suffixes = (*SUFFIXES, *more)
    for path in paths:
        if path.is_dir():
            images, lines = _images_in(path, mask_suffix or "_mask", suffixes)
            found += images
            notes += lines
        else:
            found.append(_image_at(path, suffixes))
    check_usable(Path(), found)
    named = by_name(
        told_apart([(file.stem, file) for file in dict.fromkeys(found)]),
        "images",
        "predict them separately, into different folders",
    )
    return ImageIndex({name: ImageFiles(name, file) for name, file in named.items()}, notes=tuple(notes))


def _folder_pairs(root: Path, images: str | None, masks: str | None) -> dict[str, tuple[Path, Path]]:
    """The folders of images and of masks by split; under an empty name if there are no splits."""
    around = _split_folders(root, lambda folder: bool(_present(folder, images, _IMAGES)))
    pairs = {
        split: (_folder(folder, images, _IMAGES, "images"), _folder(folder, masks, _MASKS, "masks"))
        for split, folder in (around or {"": root}).items()
    }
    if around or _image_files(pairs[""][0]):
        return pairs
    inside = _split_folders(pairs[""][0], lambda folder: bool(_image_files(folder)))
    return {split: (folder, pairs[""][1] / folder.name) for split, folder in inside.items()} or pairs


def _split_folders(root: Path, accept: Callable[[Path], bool]) -> dict[str, Path]:
    """The accepted folders in `root` that are named after splits, by split."""
    folders: dict[str, list[Path]] = {}
    for folder in sorted(root.iterdir()):
        split = _SPLIT_FOLDERS.get(folder.name.lower())
        if split and folder.is_dir() and accept(folder):
            folders.setdefault(split, []).append(folder)
    for split, same in folders.items():
        if len(same) > 1:
            raise DataError(
                f"{listed([path.name for path in same])} in {root} are all folders of the {split} split",
                hint="put their images into one of them",
            )
    return {split: folders[split][0] for split in ("train", "validation", "test") if split in folders}


def _find_group(image_folder: Path, mask_folder: Path, mask_suffix: str) -> _Group:
    together = image_folder.resolve() == mask_folder.resolve()
    if together and not mask_suffix:
        raise DataError(
            f"images and masks are both in {image_folder}",
            hint="set dataset.mask_suffix, by which they differ, e.g. _mask",
        )
    is_mask = mask_pattern(mask_suffix)
    files = [file for file in _image_files(image_folder) if not (together and is_mask.fullmatch(file.stem))]
    if not files:
        raise DataError(f"no images ({', '.join(SUFFIXES)}) in {image_folder}", hint="set dataset.images")
    named = by_name(((file.stem, file) for file in files), "images", "rename one of them")
    found = _masks_by_image(mask_folder, named, mask_suffix)
    missed = {name: (mask_folder / f"{name}{mask_suffix}.png",) for name in named}
    pairs = {name: ImageFiles(name, file, found.get(name, missed[name])) for name, file in named.items()}
    return _Group(image_folder, mask_folder, pairs)


def _masks_by_image(folder: Path, images: Mapping[str, Path], mask_suffix: str) -> dict[str, tuple[Path, ...]]:
    """The masks of each image that has any."""
    is_mask = mask_pattern(mask_suffix)
    files = [file for file in _image_files(folder) if is_mask.fullmatch(file.stem)]
    named = by_name(((file.stem, file) for file in files), "masks", "keep only the right one")
    # Where there is an image a_2 beside an image a, a mask a_1 may well belong to an image a_1.
    numbers = () if mask_suffix else filter(None, map(_SEPARATE_NUMBER.fullmatch, images))
    numbered = any(match["image"] in images for match in numbers)
    found: dict[str, list[Path]] = {}
    for name, file in named.items():
        image = name.removesuffix(mask_suffix)
        if image not in images and not numbered:
            further = (is_mask if mask_suffix else _SEPARATE_NUMBER).fullmatch(name)
            image = further["image"] if further else image
        if image in images:
            found.setdefault(image, []).append(file)
    return {image: tuple(masks) for image, masks in found.items()}


def mask_pattern(mask_suffix: str) -> re.Pattern[str]:
    """Names of masks; the suffix can be followed by a number."""
    return re.compile(rf"(?P<image>.+){re.escape(mask_suffix)}{_NUMBER}?" if mask_suffix else "(?P<image>.+)")


def _folder(folder: Path, name: str | None, names: Sequence[str], option: str) -> Path:
    found = _present(folder, name, names)
    if not found:
        raise DataError(
            f"{folder} has no folder {name or ', '.join(names)}", hint=f"set dataset.root or dataset.{option}"
        )
    filled = [path for path in found if _image_files(path)] or found
    if len(filled) > 1:
        raise DataError(
            f"{folder} has several folders of {option}: {listed([path.name for path in filled])}",
            hint=f"say which is meant: dataset.{option}",
        )
    return filled[0]


def _present(folder: Path, name: str | None, names: Sequence[str]) -> list[Path]:
    candidates = (folder / candidate for candidate in ((name,) if name else names))
    return [candidate for candidate in candidates if candidate.is_dir()]


def _check_masks(root: Path, cases: Sequence[ImageFiles]) -> None:
    missing = [
        str(mask.relative_to(root).with_suffix(""))
        for files in cases
        for mask in files.masks
        if not mask.exists() and not mask.is_symlink()
    ]
    if missing:
        count = "1 mask is" if len(missing) == 1 else f"{len(missing)} masks are"
        raise DataError(
            f"{count} missing in {root}: {listed(missing)}",
            hint=_unreadable_masks(root / missing[0])
            or "every image needs a mask with its name, see dataset.masks and dataset.mask_suffix; move other files "
            "elsewhere",
        )


def _unreadable_masks(mask: Path) -> str:
    """What to do about masks of a type that cannot be read."""
    others = sorted(path.name for path in mask.parent.glob("*") if path.stem == mask.name)
    return f"convert {listed(others)} and the like to PNG; readable are {', '.join(SUFFIXES)}" if others else ""


def _reason(groups: Sequence[_Group], mask_suffix: str) -> Callable[[Path], str]:
    """Why a file below the data set's folder is left out."""
    images, masks = {group.images for group in groups}, {group.masks for group in groups}
    read = ", ".join(sorted({folder.name or str(folder) for folder in images | masks}))

    def reason(path: Path) -> str:
        if path.parent not in images | masks:
            return f"not directly in a folder that is read ({read})"
        if path.suffix.lower() not in SUFFIXES:
            return f"not one of {', '.join(SUFFIXES)}"
        if mask_suffix and not mask_pattern(mask_suffix).fullmatch(path.stem):
            return f"masks without {mask_suffix} at the end of their name"
        return "masks without an image"

    return reason


def _images_in(folder: Path, mask_suffix: str, suffixes: Sequence[str]) -> tuple[list[Path], tuple[str, ...]]:
    """Images of a folder to predict, and sentences about files that are left out."""
    everything = find_files(folder)
    below = [file for file in everything if file.suffix.lower() in suffixes]
    files = [file for file in below if file.parent == folder] or below
    names, is_mask = {file.with_suffix("") for file in files}, mask_pattern(mask_suffix)
    masks = {
        file for file in files if (match := is_mask.fullmatch(file.stem)) and file.with_name(match["image"]) in names
    }
    images = [file for file in files if file not in masks]
    if not images:
        raise DataError(f"no images ({', '.join(suffixes)}) in {folder}")
    check_no_masks(folder, images, {*_MASKS, *OTHER_MASKS})

    def reason(path: Path) -> str:
        if path in masks:
            return "masks of images beside them; to predict them anyway, name the files"
        if path.parent != folder and path.suffix.lower() in suffixes:
            return "in folders below it; to predict them, name these folders"
        return f"not one of {', '.join(suffixes)}"

    return images, name_left_out(folder, everything, images, reason)


def _image_at(path: Path, suffixes: Sequence[str]) -> Path:
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.suffix.lower() not in suffixes:
        raise DataError(f"{path} is not an image: {', '.join(suffixes)} can be read")
    return path


def _image_files(folder: Path) -> list[Path]:
    return [file for file in find_files(folder, recursive=False) if file.suffix.lower() in SUFFIXES]
