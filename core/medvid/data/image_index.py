"""Finding the cases of an image data set: images and masks with matching names. Imports nothing heavy."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medvid.errors import DataError

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")

_SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_IMAGES = ("img", "images", "image")
_MASKS = ("labelcol", "masks", "mask", "labels", "label")
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of one case.

    Args:
        id: name of the case, unique in its data set and usable as a file name.
        image: the image.
        mask: its mask; None where the case has none.
    """

    id: str
    image: Path
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """What a folder holds.

    Args:
        cases: every case by its id, in a fixed order.
        splits: the ids of each split that has a folder of its own.
        strangers: masks without an image.
    """

    cases: Mapping[str, ImageFiles]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strangers: tuple[Path, ...] = ()


def find_pairs(root: Path, images: str | None = None, masks: str | None = None, mask_suffix: str = "") -> ImageIndex:
    """Index images and masks in `root`, or in its folders train, val (or validation) and test.

    A case is called as its image, or ``<split>_<image>`` where images of two splits have the same name.

    Args:
        root: the folder.
        images: folder of images; default: img, images or image.
        masks: folder of masks; default: labelcol, masks, mask, labels or label.
        mask_suffix: what the name of a mask has beyond that of its image.

    Raises:
        DataError: the folders are not there, an image has no mask (all of them are listed), or two images of a folder
            have the same name.
    """
    if not root.is_dir():
        raise DataError(f"the data set's folder {root} does not exist", hint="set dataset.root")
    groups = {
        split: _find_group(folder, images, masks, mask_suffix) for split, folder in _split_folders(root, images).items()
    }
    _check_masks(root, [pair for pairs, _ in groups.values() for pair in pairs.values()])
    clash = len({name for pairs, _ in groups.values() for name in pairs}) < sum(
        len(pairs) for pairs, _ in groups.values()
    )
    cases: dict[str, ImageFiles] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for split, (pairs, _) in groups.items():
        named = {f"{split}_{name}" if clash else name: pair for name, pair in pairs.items()}
        cases |= {case: ImageFiles(case, *pair) for case, pair in named.items()}
        splits[split] = tuple(named)
    strangers = tuple(path for _, extra in groups.values() for path in extra)
    return ImageIndex(cases, {split: ids for split, ids in splits.items() if split}, strangers)


def find_images(paths: Sequence[Path]) -> list[ImageFiles]:
    """Cases without masks from files and folders of files, for prediction.

    Raises:
        DataError: a path is missing, is no image or holds none, or two images have the same name.
    """
    found = [file for path in paths for file in _images_at(path)]
    by_name = _by_name(found, "predict them one after the other, into different folders")
    return [ImageFiles(name, file) for name, file in by_name.items()]


def _split_folders(root: Path, images: str | None) -> dict[str, Path]:
    """Folders by split; `root` itself, under an empty name, where it is not divided into splits."""
    found = {folder.name.lower(): folder for folder in sorted(root.iterdir()) if folder.is_dir()}
    folders = {split: found[name] for name, split in _SPLIT_FOLDERS.items() if name in found}
    divided = any(_first(folder, images, _IMAGES) is not None for folder in folders.values())
    return folders if divided else {"": root}


def _find_group(
    folder: Path, images: str | None, masks: str | None, mask_suffix: str
) -> tuple[dict[str, tuple[Path, Path]], list[Path]]:
    """Image and mask by name, and the masks that are left over."""
    image_folder = _folder(folder, images, _IMAGES, "images")
    mask_folder = _folder(folder, masks, _MASKS, "masks")
    together = image_folder.resolve() == mask_folder.resolve()
    if together and not mask_suffix:
        raise DataError(
            f"images and masks are both in {image_folder}",
            hint="set dataset.mask_suffix to tell them apart, e.g. _mask",
        )
    files = list(_image_files(image_folder))
    if together:
        files = [file for file in files if not file.stem.endswith(mask_suffix)]
    if not files:
        raise DataError(f"no images ({', '.join(SUFFIXES)}) in {image_folder}", hint="set dataset.images")
    found = {file.stem: file for file in _image_files(mask_folder) if file.stem.endswith(mask_suffix)}
    pairs = {
        name: (file, found.pop(name + mask_suffix, mask_folder / f"{name}{mask_suffix}.png"))
        for name, file in _by_name(files, "rename one of them").items()
    }
    return pairs, list(found.values())


def _folder(folder: Path, name: str | None, names: Sequence[str], option: str) -> Path:
    found = _first(folder, name, names)
    if found is None:
        raise DataError(
            f"{folder} has no folder {name or ', '.join(names)}", hint=f"set dataset.root or dataset.{option}"
        )
    return found


def _first(folder: Path, name: str | None, names: Sequence[str]) -> Path | None:
    candidates = (folder / candidate for candidate in ((name,) if name else names))
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def _by_name(files: Sequence[Path], hint: str) -> dict[str, Path]:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_name[file.stem].append(file)
    for name, same in by_name.items():
        if len(same) > 1:
            raise DataError(f"two images are called {name}: {same[0]} and {same[1]}", hint=hint)
    return {name: same for name, (same,) in by_name.items()}


def _check_masks(root: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    missing = [str(mask.relative_to(root).with_suffix("")) for _, mask in pairs if not mask.is_file()]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        count = "1 mask is" if len(missing) == 1 else f"{len(missing)} masks are"
        raise DataError(
            f"{count} missing in {root}: {', '.join(missing[:_SHOWN])}{more}",
            hint="every image needs a mask of its name; see dataset.masks and dataset.mask_suffix",
        )


def _images_at(path: Path) -> list[Path]:
    if path.is_dir():
        files = list(_image_files(path))
        if not files:
            raise DataError(f"no images ({', '.join(SUFFIXES)}) in {path}")
        return files
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is no image: {', '.join(SUFFIXES)} can be read")
    return [path]


def _image_files(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
