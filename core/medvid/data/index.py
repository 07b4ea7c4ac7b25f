"""Finding the cases of a volume data set in the folder layouts that people have. Imports nothing heavy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medvid.data.description import read_json
from medvid.errors import DataError

LayoutName = Literal["auto", "datalist", "nnunet", "pairs"]

_SUFFIXES = (".nii.gz", ".nii")
_PAIRS = (("img", "label"), ("imagesTr", "labelsTr"), ("images", "labels"), ("Training/img", "Training/label"))
_TEST_FOLDERS = ("imagesTs", "Testing/img")
_DATALISTS = ("dataset_0.json", "dataset.json")
_DATALIST_KEYS = {"training": "train", "train": "train", "validation": "validation", "test": "test", "testing": "test"}
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of one case.

    Args:
        id: name of the case, unique in its data set and usable as a file name.
        images: one file per channel, or a single one with all channels.
        label: the label map; None where the case has none.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder holds.

    Args:
        layout: the layout that was found.
        cases: every case by its id, in a fixed order.
        splits: the ids of each split that the folder itself declares.
    """

    layout: LayoutName
    cases: Mapping[str, CaseFiles]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def labelled(self) -> tuple[str, ...]:
        """Ids of the cases that have a label map, without the folder's test split."""
        test = self.splits.get("test", ())
        return tuple(case.id for case in self.cases.values() if case.label is not None and case.id not in test)


def find_cases(root: Path, layout: LayoutName = "auto", datalist: str | None = None, channels: int = 1) -> Index:
    """Index a folder in one of three layouts.

    - datalist: a Decathlon-style JSON file with lists of cases under training, validation and test, looked for as
      dataset_0.json, then as dataset.json.
    - nnunet: ``imagesTr/CASE_0000.nii.gz`` (``_0001`` ... for further channels), ``labelsTr/CASE.nii.gz`` and
      ``imagesTs``.
    - pairs: ``img`` + ``label``, ``imagesTr`` + ``labelsTr`` or ``images`` + ``labels``, matched by file name, where
      ``img`` in the name of an image may be ``label`` in that of its label map.

    Found automatically in the order dataset_0.json, nnunet, dataset.json with a training list, pairs.

    Args:
        root: the folder.
        layout: one of them, or auto.
        datalist: name of the JSON file below `root`.
        channels: number of channels, each of which is a file in the nnunet layout.

    Raises:
        DataError: the folder is missing or in none of the layouts, or files are missing (all of them are listed).
    """
    if not root.is_dir():
        raise DataError(f"the data set's folder {root} does not exist", hint="set dataset.root")
    if layout == "auto":
        layout = _detect(root, datalist)
    if layout == "datalist":
        index = _read_datalist(root, _find_datalist(root, datalist))
    elif layout == "nnunet":
        index = _read_folders(root, layout, "imagesTr", "labelsTr", channels)
    else:
        index = _read_folders(root, layout, *_find_pair(root), channels=0)
    _check_files(root, index)
    return index


def find_volumes(paths: Sequence[Path], channels: int = 1) -> list[CaseFiles]:
    """Cases without labels from files and folders of files, e.g. for prediction.

    Several channels may be one file, or files named as in nnU-Net: ``CASE_0000``, ``CASE_0001`` ...

    Raises:
        DataError: a path is missing, is no NIfTI file or holds none, or two files have the same name.
    """
    cases: dict[str, CaseFiles] = {}
    for path in paths:
        for case in _volumes_at(path, channels):
            other = cases.setdefault(case.id, case)
            if other.images != case.images:
                raise DataError(
                    f"{other.images[0]} and {case.images[0]} have the same name, and so would their predictions",
                    hint="predict them one after the other, into different folders",
                )
    return list(cases.values())


def _detect(root: Path, datalist: str | None) -> LayoutName:
    if datalist or (root / "dataset_0.json").is_file():
        return "datalist"
    if _volume_files(root / "imagesTr", "*_0000"):
        return "nnunet"
    if (root / "dataset.json").is_file() and read_json(root / "dataset.json").get("training"):
        return "datalist"
    return "pairs"


def _find_datalist(root: Path, datalist: str | None) -> Path:
    names = (datalist,) if datalist else _DATALISTS
    for name in names:
        if (root / name).is_file():
            return _inside(root, name, "dataset.datalist")
    raise DataError(f"{root} has no {' or '.join(names)}", hint="set dataset.datalist or dataset.layout")


def _find_pair(root: Path) -> tuple[str, str]:
    for images, labels in _PAIRS:
        if (root / images).is_dir():
            return images, labels
    raise DataError(
        f"no cases found in {root}: it has no dataset_0.json, no dataset.json with a training list, and none of the "
        f"folders {', '.join(images for images, _ in _PAIRS)}",
        hint="set dataset.root to the folder that holds one of them",
    )


def _read_datalist(root: Path, path: Path) -> Index:
    content = read_json(path)
    listed = [(split, entry) for key, split in _DATALIST_KEYS.items() for entry in content.get(key) or ()]
    if not listed:
        raise DataError(f"{path} lists no cases under training, validation or test")
    entries = [_read_entry(root, entry, f"{path.name}: {split}") for split, entry in listed]
    by_name = len({_name(images[0]) for images, _ in entries}) == len({images[0] for images, _ in entries})
    cases: dict[str, CaseFiles] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for (split, _), (images, label) in zip(listed, entries, strict=True):
        case = _name(images[0]) if by_name else _name_with_folders(root, images[0])
        cases[case] = CaseFiles(case, images, label)
        splits[split] = (*splits.get(split, ()), case)
    return Index("datalist", cases, splits)


def _read_entry(root: Path, entry: Any, where: str) -> tuple[tuple[Path, ...], Path | None]:
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict) or not entry.get("image"):
        raise DataError(f"{where}: an entry has to be a file name or {{image: ..., label: ...}}, got {entry!r}")
    images = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    label = _inside(root, entry["label"], where) if entry.get("label") else None
    return tuple(_inside(root, image, where) for image in images), label


def _inside(root: Path, name: Any, where: str) -> Path:
    """A path that an index file names; neither it nor a link may lead out of the data set's folder."""
    path = root / str(name)
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{where}: {name} leads out of the data set's folder {root}")
    return path


def _read_folders(root: Path, layout: LayoutName, images: str, labels: str, channels: int) -> Index:
    """Index folders of images and labels; `channels` is the number of files per case, or 0 for one without a suffix."""
    cases = {
        case: CaseFiles(case, files, _label_of(root / labels, files)) for case, files in _group(root / images, channels)
    }
    if not cases:
        raise DataError(f"no .nii.gz or .nii files in {root / images}", hint="set dataset.root or dataset.layout")
    test = {case: CaseFiles(case, files) for folder in _TEST_FOLDERS for case, files in _group(root / folder, channels)}
    if shared := sorted(cases.keys() & test.keys()):
        raise DataError(f"{root}: training and test images have the same names: {', '.join(shared[:_SHOWN])}")
    return Index(layout, cases | test, {"test": tuple(test)} if test else {})


def _group(folder: Path, channels: int) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Files by case: those of all channels where they are numbered, else each on its own."""
    for file in _volume_files(folder, "*_0000" if channels else "*"):
        yield _name(file), _channel_files(file, channels) if channels else (file,)


def _channel_files(first: Path, channels: int) -> tuple[Path, ...]:
    ending = first.name.removeprefix(_stem(first))
    return tuple(first.with_name(f"{_name(first)}_{channel:04d}{ending}") for channel in range(channels))


def _label_of(folder: Path, images: Sequence[Path]) -> Path:
    """The label map of a case; where there is none, the path at which it is missed."""
    case = _name(images[0])
    names = [case.replace("img", "label", 1), case, _stem(images[0])]
    candidates = [folder / f"{name}{suffix}" for name in names for suffix in _SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _check_files(root: Path, index: Index) -> None:
    files = [path for case in index.cases.values() for path in (*case.images, case.label) if path is not None]
    missing = [str(path.relative_to(root)) for path in files if not path.is_file()]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        count = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
        raise DataError(
            f"{count} missing in {root}: {', '.join(missing[:_SHOWN])}{more}",
            hint="every training image needs its label map; set dataset.layout if the folder was misread",
        )


def _volumes_at(path: Path, channels: int) -> list[CaseFiles]:
    if path.is_dir():
        numbered = channels if channels > 1 and _volume_files(path, "*_0000") else 0
        cases = [CaseFiles(case, files) for case, files in _group(path, numbered)]
        if not cases:
            raise DataError(f"no .nii.gz or .nii files in {path}")
        return cases
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if not path.name.lower().endswith(_SUFFIXES):
        raise DataError(f"{path} is not named .nii.gz or .nii")
    numbered = channels if channels > 1 and _stem(path).endswith("_0000") else 0
    return [CaseFiles(_name(path), _channel_files(path, numbered) if numbered else (path,))]


def _volume_files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(file for suffix in _SUFFIXES for file in folder.glob(f"{pattern}{suffix}") if file.name[0] != ".")


def _name(image: Path) -> str:
    """Name of the case that an image file holds: the file's, without its ending and nnU-Net's ``_0000``."""
    return _stem(image).removesuffix("_0000")


def _name_with_folders(root: Path, image: Path) -> str:
    return "_".join((*image.relative_to(root).parent.parts, _name(image)))


def _stem(path: Path) -> str:
    lower = path.name.lower()
    suffix = next((suffix for suffix in _SUFFIXES if lower.endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]
