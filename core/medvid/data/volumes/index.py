"""Finding the cases of a volume data set in the usual folder layouts.

Every file below the folder is used, refused by name, or named as left out; sources that overlap have to agree.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from medvid.data.json_files import read_json
from medvid.data.listing import (
    OTHER_MASKS,
    by_name,
    check_folder,
    check_no_masks,
    check_usable,
    find_files,
    identity,
    name_left_out,
    told_apart,
)
from medvid.data.volumes.files import CaseFiles, channel_of
from medvid.data.volumes.folders import Naming, group_channels, label_folders, read_folders
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.lists import DATALISTS, find_list, lists_cases, read_list
from medvid.errors import DataError
from medvid.sentences import listed

FolderLayout = Literal["auto", "datalist", "nnunet", "pairs"]


@dataclass(frozen=True, slots=True)
class Index:
    """The contents of a folder.

    Args:
        layout: the layout that was found.
        cases: every case by its id, in a fixed order.
        splits: the ids of each split that the folder itself declares; ``train`` alone is yet to be divided.
        notes: what is left out or unusual, for the log.
        folds: of a list's cases, by id, if it is still open which of them are held out.
    """

    layout: FolderLayout
    cases: Mapping[str, CaseFiles]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    folds: Mapping[str, int] = field(default_factory=dict)

    @property
    def labelled(self) -> tuple[str, ...]:
        """Ids of the cases that have a label map, without the folder's test split."""
        test = set(self.splits.get("test", ()))
        return tuple(case.id for case in self.cases.values() if case.label is not None and case.id not in test)

    @property
    def fold_numbers(self) -> str:
        """The folds that cases have, in words."""
        return ", ".join(map(str, sorted(set(self.folds.values()))))

    def fold(self, number: int) -> Mapping[str, tuple[str, ...]] | None:
        """The training cases with and without a fold, by the list; None where it has no folds.

        Raises:
            DataError: no case has this fold.
        """
        if not self.folds:
            return None
        train = self.splits.get("train", ())
        held_out = tuple(case for case in train if self.folds.get(case) == number)
        if not held_out:
            raise DataError(
                f"the list of cases has the folds {self.fold_numbers}, not {number}",
                hint="set dataset.fold to one of them",
            )
        return {"train": tuple(case for case in train if self.folds.get(case) != number), "validation": held_out}


def find_cases(
    root: Path,
    layout: FolderLayout = "auto",
    datalist: str | None = None,
    channels: int = 1,
    *,
    formats: Formats,
) -> Index:
    """Index a folder in one of three layouts.

    - datalist: a JSON file with lists of cases under training, validation and test, as in the Decathlon and MONAI, or
      under dataset, as in nnU-Net; looked for as dataset_0.json and dataset.json.
    - nnunet: ``imagesTr/CASE_0000.nii.gz`` (``_0001`` ... for further channels), ``labelsTr/CASE.nii.gz``.
    - pairs: ``img`` + ``label``, ``imagesTr`` + ``labelsTr`` or ``images`` + ``labels``, matched by file name, where
      ``img`` in an image's name can be ``label`` in its label map's name.

    In nnunet and pairs, ``imagesVa`` and ``imagesTs`` are validation and test images, ``labelsVa`` and ``labelsTs``
    their label maps. A list takes precedence over folders; between nnunet and pairs the file names decide.

    Args:
        root: the folder.
        layout: one of these, or auto.
        datalist: name of the JSON file below `root`.
        channels: number of channels; one file each in the nnunet layout.
        formats: the enabled ones; all files that are named like one of them are volumes.

    Raises:
        DataError: the folder is missing or has none of the layouts, files are missing (all of them are listed) or
            cannot be used, two belong to one case, or two sources contradict each other.
    """
    check_folder(root)
    path = find_list(root, formats, datalist) if layout in {"auto", "datalist"} else None
    if layout == "datalist" and path is None:
        raise DataError(
            f"{root} has no list of cases: no {' or '.join(DATALISTS)} that has one",
            hint="set dataset.datalist or dataset.folder_layout",
        )
    if path:
        index = _from_list(root, path, formats)
    else:
        index = _from_folders(root, layout if layout in {"nnunet", "pairs"} else None, channels, formats)
    _check_files(root, index, formats)
    return replace(index, notes=(*index.notes, *_account(root, index, path, formats)))


def find_volumes(paths: Sequence[Path], channels: int = 1, layout: FolderLayout = "auto", *, formats: Formats) -> Index:
    """Cases without labels from files and folders of files, e.g. for prediction.

    Several channels are one file, or files named as in nnU-Net: ``CASE_0000``, ``CASE_0001`` ... A folder with files
    that are parts of one volume, such as slices, is one case. If a folder holds volumes, these are taken; otherwise all
    volumes in the folders below it. A case is named after its file, and its folders too if two files have the same
    name.

    Args:
        paths: files and folders.
        channels: number of channels of a case.
        layout: ``pairs``: numbers at the end of names are patients, not channels.
        formats: the enabled ones.

    Raises:
        DataError: a path is missing, is not named like a volume or holds none, lies in a folder of label maps, or files
            lack or have more channels than `channels`.
    """
    found = [_volumes_at(path, formats, with_channels=channels > 1) for path in paths]
    files = list({identity(file): file for volumes, _ in found for file in volumes}.values())
    check_usable(Path(), [path for path in files if not formats.is_folder(path)])
    cases = _one_by_one(files, formats) if layout == "pairs" else _by_channels(files, channels, formats)
    firsts = told_apart([(name, images[0]) for name, images in cases])
    named = by_name(firsts, "images", "predict them separately, into different folders")
    return Index(
        layout,
        {case: CaseFiles(case, images) for case, (_, images) in zip(named, cases, strict=True)},
        notes=tuple(note for _, notes in found for note in notes),
    )


def _from_list(root: Path, path: Path, formats: Formats) -> Index:
    cases = read_list(root, path, formats)
    train = cases.splits.get("train", ()) if "validation" not in cases.splits else ()
    folds = {case: cases.folds[case] for case in train if case in cases.folds}
    return Index("datalist", cases.cases, cases.splits, cases.notes, folds)


def _from_folders(root: Path, naming: Naming | None, channels: int, formats: Formats) -> Index:
    folders = read_folders(root, channels, formats, naming)
    all_cases = [case for cases in folders.splits.values() for case in cases]
    by_name(((case.id, case.images[0]) for case in all_cases), "images", "rename one of them")
    splits = {split: tuple(case.id for case in cases) for split, cases in folders.splits.items()}
    _check_number(root, len(splits["train"]))
    return Index(folders.naming, {case.id: case for case in all_cases}, splits, folders.notes)


def _check_number(root: Path, count: int) -> None:
    """Compare with the number of cases in nnU-Net's dataset.json, so that missing ones are noticed."""
    path = root / "dataset.json"
    number = read_json(path).get("numTraining", count) if path.is_file() else count
    if str(number) != str(count):
        raise DataError(
            f"{path}: numTraining is {number}, but there are {count} training cases",
            hint="add the missing cases, remove surplus ones, or correct the number",
        )


def _check_files(root: Path, index: Index, formats: Formats) -> None:
    files = [path for case in index.cases.values() for path in (*case.images, case.label) if path is not None]
    missing = [str(path.relative_to(root)) for path in files if not path.exists() and not path.is_symlink()]
    if missing:
        count = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
        raise DataError(
            f"{count} missing in {root}: {listed(missing)}",
            hint="every training image needs its label map; set dataset.folder_layout if the folder was misread",
        )
    check_usable(root, [path for path in files if not formats.is_folder(path) and not formats.has_structures(path)])


def _account(root: Path, index: Index, path: Path | None, formats: Formats) -> Iterable[str]:
    """Notes on everything in the folder that is not used."""
    paths = [path for case in index.cases.values() for path in (*case.images, case.label) if path is not None]
    used = [file for path in paths for file in formats.parts_of(path)]
    yield from name_left_out(root, find_files(root), used, _why_left_out(path, formats))
    others = [
        name for name in sorted(file.name for file in root.glob("dataset*.json")) if _is_unused(root / name, path)
    ]
    if others:
        yield f"the lists of cases in {listed(others)} are not used"
    labels: dict[object, list[str]] = {}
    for case in index.cases.values():
        if case.label is not None:
            labels.setdefault(identity(case.label), []).append(case.id)
    if shared := [" and ".join(ids) for ids in labels.values() if len(ids) > 1]:
        yield f"cases that share a label map: {listed(shared)}"


def _why_left_out(path: Path | None, formats: Formats) -> Callable[[Path], str]:
    folders = label_folders()

    def reason(file: Path) -> str:
        if not formats.is_volume(file):
            return "not named like a volume"
        if path is not None:
            return f"not in {path.name}"
        if file.parent.name.lower() in folders:
            return "label maps without an image"
        return "not in the folders of images and label maps, or not named like the images there"

    return reason


def _is_unused(path: Path, used: Path | None) -> bool:
    with suppress(DataError):  # dataset_stats.json and the like can hold anything
        return path != used and lists_cases(path)
    return False


def _volumes_at(path: Path, formats: Formats, *, with_channels: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Volumes of a file or folder, and notes on volumes of the folder that are left out."""
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path} does not exist")
        if not formats.is_volume(path):
            raise DataError(f"{path} is not named {formats.names}")
        return _with_channels(path, formats) if with_channels else (path,), ()
    if formats.has_parts(path):
        return (path,), ()
    files = find_files(path)
    taken = formats.volumes_in(path) or tuple(file for file in files if formats.is_volume(file))
    if not taken:
        raise DataError(f"no {formats.names} files in {path}")
    check_no_masks(path, taken, label_folders() | OTHER_MASKS)
    return taken, name_left_out(
        path,
        files,
        [file for one in taken for file in formats.parts_of(one)],
        lambda file: "in folders below it: pass them too" if formats.is_volume(file) else "not named like a volume",
    )


def _with_channels(path: Path, formats: Formats) -> tuple[Path, ...]:
    """The files of all channels of a case, from its first one."""
    case = channel_of(formats.stem(path))
    if case is None or case[1]:
        return (path,)
    files = (file for file in find_files(path.parent, recursive=False) if formats.is_volume(file))
    return tuple(file for file in files if (other := channel_of(formats.stem(file))) and other[0] == case[0])


def _one_by_one(files: Sequence[Path], formats: Formats) -> list[tuple[str, tuple[Path, ...]]]:
    return [(formats.stem(file), (file,)) for file in files]


def _by_channels(files: Sequence[Path], channels: int, formats: Formats) -> list[tuple[str, tuple[Path, ...]]]:
    """Numbered files grouped by case, if the numbers begin at 0000; files with other names one by one."""
    firsts = {(file.parent, parts[0]) for file in files if (parts := channel_of(formats.stem(file))) and parts[1] == 0}
    numbered = [
        file for file in files if (parts := channel_of(formats.stem(file))) and (file.parent, parts[0]) in firsts
    ]
    groups = group_channels(numbered, channels, formats)
    cases: list[tuple[str, tuple[Path, ...]]] = []
    for file in files:
        parts = channel_of(formats.stem(file))
        key = (file.parent, parts[0] if parts else "")
        if key not in groups:
            cases.append((formats.stem(file), (file,)))
        elif parts and parts[1] == 0:
            cases.append((parts[0], groups[key]))
    return cases
