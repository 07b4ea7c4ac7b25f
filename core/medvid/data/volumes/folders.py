"""Cases of a volume data set from folders of images and of label maps, matched by the names of their files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medvid.data.listing import by_name, check_usable, name_key
from medvid.data.volumes.files import CaseFiles, channel_of, check_distinct
from medvid.data.volumes.formats.choice import Formats
from medvid.errors import DataError
from medvid.sentences import listed

Naming = Literal["nnunet", "pairs"]

TRAINING = (("img", "label"), ("imagesTr", "labelsTr"), ("images", "labels"), ("Training/img", "Training/label"))
_HELD_OUT = {
    "validation": (("imagesVa", "labelsVa"), ("imagesVal", "labelsVal")),
    "test": (("imagesTs", "labelsTs"), ("Testing/img", "Testing/label")),
}
_RENAME = "keep one of them, or rename the other"


@dataclass(frozen=True, slots=True)
class Folders:
    """Cases of folders, by split.

    Args:
        naming: ``nnunet``: a file per channel, numbered; ``pairs``: a file per case.
        splits: the cases of ``train``, and of ``validation`` and ``test`` if they have folders.
        notes: what is unusual but can be used.
    """

    naming: Naming
    splits: Mapping[str, Sequence[CaseFiles]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_folders(root: Path, channels: int, formats: Formats, naming: Naming | None = None) -> Folders:
    """Read the folders of images and label maps below a folder.

    Args:
        root: the data set's folder.
        channels: number of channels; one file each if files are numbered.
        formats: the enabled ones.
        naming: how the files are named; default: inferred from the names.

    Raises:
        DataError: the folders are missing or empty, a label map or a channel is missing (all of them are listed), or
            two files belong to one case.
    """
    pair = _training_folders(root, formats)
    if pair is None:
        raise DataError(
            f"no cases found in {root}: it has no dataset_0.json, no dataset.json with a training list, and none of "
            f"the folders {', '.join(images for images, _ in TRAINING)}",
            hint="set dataset.root to the folder that holds one of them",
        )
    images, labels = formats.volumes_in(root / pair[0]), formats.annotations_in(root / pair[1])
    naming = naming or _naming(images, labels, formats)
    splits = {"train": _read_pair(root, pair, naming, channels, formats)}
    if not splits["train"]:
        raise DataError(
            f"no {'numbered ' if naming == 'nnunet' else ''}{formats.names} files in {root / pair[0]}",
            hint="set dataset.root or dataset.folder_layout",
        )
    notes = []
    for split, pairs in _HELD_OUT.items():
        for other in pairs:
            if not (cases := _read_pair(root, other, naming, channels, formats)):
                continue
            if split == "validation" and not (root / other[1]).is_dir():
                notes.append(unlabelled_validation(other[0]))
                splits.setdefault("test", []).extend(cases)
            else:
                splits.setdefault(split, []).extend(cases)
    check_distinct([case for cases in splits.values() for case in cases], str(root))
    _check_labels(root, [case for split, cases in splits.items() if split != "test" for case in cases])
    return Folders(naming, splits, tuple(notes))


def unlabelled_validation(source: str) -> str:
    """A note on validation images without label maps, as published by challenges."""
    return f"the validation images of {source} have no label maps: they are used as test images"


def group_channels(files: Iterable[Path], channels: int, formats: Formats) -> dict[tuple[Path, str], tuple[Path, ...]]:
    """Numbered files by folder and case, ordered by channel; files with other names are left out.

    Raises:
        DataError: a case has channels other than 0000 to `channels` - 1, or a channel twice.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        if numbered := channel_of(formats.stem(file)):
            groups.setdefault((file.parent, numbered[0]), []).append(file)
    wanted = [f"{channel:04d}" for channel in range(channels)]
    problems = []
    for (_, case), group in groups.items():
        if (given := sorted(formats.stem(file)[-4:] for file in group)) != wanted:
            problems.append(f"{case} has {', '.join(given)}")
    if problems:
        numbers = "the channel 0000" if channels == 1 else f"the channels 0000 to {wanted[-1]}"
        raise DataError(
            f"each case needs {numbers}, each in one file: {listed(problems)}",
            hint="set dataset.channels to their number; or dataset.folder_layout: pairs, if the numbers are "
            "patient numbers",
        )
    return {key: tuple(sorted(group, key=formats.stem)) for key, group in groups.items()}


def find_labels(root: Path, images: Iterable[Path], formats: Formats) -> dict[Path, Path]:
    """The label maps of images in the folders above, if they exist; an image of several files is named by its first.

    Raises:
        DataError: an image has several label maps.
    """
    found: dict[Path, Path] = {}
    known: dict[Path, dict[str, list[Path]]] = {}
    places = {root / image_folder: root / label_folder for image_folder, label_folder in _all_pairs()}
    for image in images:
        if folder := places.get(image.parent):
            if folder not in known:
                known[folder] = _by_key(formats.annotations_in(folder), formats)
            if label := _match(
                known[folder], (*_own_label_names(formats.stem(image)), formats.case_name(image)), image
            ):
                found[image] = label
    return found


def label_folders() -> frozenset[str]:
    """Names of the folders of label maps, in lower case."""
    return frozenset(Path(labels).name.lower() for _, labels in _all_pairs())


def _all_pairs() -> tuple[tuple[str, str], ...]:
    return (*TRAINING, *(pair for pairs in _HELD_OUT.values() for pair in pairs))


def _training_folders(root: Path, formats: Formats) -> tuple[str, str] | None:
    """The first pair whose folder of images exists.

    Raises:
        DataError: two of them hold images.
    """
    found = [pair for pair in TRAINING if (root / pair[0]).is_dir()]
    filled = [pair for pair in found if formats.volumes_in(root / pair[0])]
    if len(filled) > 1:
        raise DataError(
            f"{root} has images in {' and in '.join(images for images, _ in filled)}",
            hint="move one of them away, or name the cases in a datalist (dataset.datalist)",
        )
    return next(iter((*filled, *found)), None)


def _naming(images: Sequence[Path], labels: Sequence[Path], formats: Formats) -> Naming:
    """Whether numbers at the end of names are channels or patients: label maps have the case's name."""
    numbered = [channel_of(formats.stem(image)) for image in images]
    if not images or not all(numbered):
        return "pairs"
    names = {name_key(formats.stem(label)) for label in labels}
    as_cases = sum(any(name_key(name) in names for name in _own_label_names(formats.stem(image))) for image in images)
    as_channels = len({name_key(parts[0]) for parts in numbered if parts} & names)
    if as_cases and as_channels:
        raise DataError(
            f"{as_cases} label maps are named like the images in {images[0].parent}, {as_channels} like cases whose "
            "channels the images are",
            hint="set dataset.folder_layout to pairs or nnunet",
        )
    return "pairs" if as_cases else "nnunet"


def _read_pair(root: Path, pair: tuple[str, str], naming: Naming, channels: int, formats: Formats) -> list[CaseFiles]:
    images, labels = formats.volumes_in(root / pair[0]), formats.annotations_in(root / pair[1])
    check_usable(
        root, [path for path in (*images, *labels) if not formats.is_folder(path) and not formats.has_structures(path)]
    )
    known = _by_key(labels, formats)
    if naming == "nnunet":
        groups = group_channels(images, channels, formats)
        found = {files[0]: (case, files) for (_, case), files in groups.items()}
    else:
        found = {image: (formats.stem(image), (image,)) for image in images}
    owned = {key for name, _ in found.values() for key in map(name_key, _own_label_names(name))}
    cases = []
    for image, (name, files) in found.items():
        names = (name,) if naming == "nnunet" else _own_label_names(name)
        label, bare = _match(known, names, image), name.removesuffix("_0000")
        if label is None and naming == "pairs" and name_key(bare) not in owned:
            label = _match(known, (bare,), image)  # a single channel, numbered as in nnU-Net
            names = (bare,) if label else names
        cases.append(CaseFiles(names[-1], files, label))
    by_name(((case.id, case.images[0]) for case in cases), "images", _RENAME)
    return cases


def _own_label_names(name: str) -> tuple[str, ...]:
    """Possible names of the label map of an image with this name."""
    return (name.replace("img", "label", 1), name)


def _match(known: Mapping[str, Sequence[Path]], names: Sequence[str], image: Path) -> Path | None:
    found = [label for name in dict.fromkeys(map(name_key, names)) for label in known.get(name, ())]
    if len(found) > 1:
        raise DataError(f"{image} has two label maps: {found[0]} and {found[1]}", hint=_RENAME)
    return found[0] if found else None


def _by_key(files: Sequence[Path], formats: Formats) -> dict[str, list[Path]]:
    known: dict[str, list[Path]] = {}
    for file in files:
        known.setdefault(name_key(formats.stem(file)), []).append(file)
    return known


def _check_labels(root: Path, cases: Sequence[CaseFiles]) -> None:
    if missing := [str(case.images[0].relative_to(root)) for case in cases if case.label is None]:
        count = "1 image has" if len(missing) == 1 else f"{len(missing)} images have"
        raise DataError(
            f"{count} no label map in {root}: {listed(missing)}",
            hint="every training image needs its label map; set dataset.folder_layout if the folder was misread",
        )
