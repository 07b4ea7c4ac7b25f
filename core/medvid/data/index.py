"""Finding the cases of a volume data set in the folder layouts that people have. Imports nothing heavy.

Every file below the folder is used, refused by name, or named as left out; what speaks of the same thing has to agree.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from medvid.data.description import read_json
from medvid.data.listing import (
    OTHER_MASKS,
    by_name,
    check_no_masks,
    check_usable,
    find_files,
    identity,
    listed,
    name_left_out,
    told_apart,
)
from medvid.data.volume_files import CaseFiles, channel_of, is_volume, stem
from medvid.data.volume_folders import Naming, group_channels, label_folders, read_folders
from medvid.data.volume_lists import (
    DATALISTS,
    SPLITS_FILE,
    find_list,
    lists_cases,
    read_list,
    read_splits_file,
    split_by_fold,
)
from medvid.errors import DataError

LayoutName = Literal["auto", "datalist", "nnunet", "pairs"]


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder holds.

    Args:
        layout: the layout that was found.
        cases: every case by its id, in a fixed order.
        splits: the ids of each split that the folder itself declares; ``train`` alone is yet to be divided.
        notes: what is left out or unusual, for the log.
        folds: the folds that a list gives its cases, where nothing says yet which of them is held out.
    """

    layout: LayoutName
    cases: Mapping[str, CaseFiles]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()

    @property
    def labelled(self) -> tuple[str, ...]:
        """Ids of the cases that have a label map, without the folder's test split."""
        test = self.splits.get("test", ())
        return tuple(case.id for case in self.cases.values() if case.label is not None and case.id not in test)


def find_cases(
    root: Path, layout: LayoutName = "auto", datalist: str | None = None, channels: int = 1, fold: int | None = None
) -> Index:
    """Index a folder in one of three layouts.

    - datalist: a JSON file with lists of cases under training, validation and test, as the Decathlon and MONAI have
      them, or under dataset, as nnU-Net has it; looked for as dataset_0.json and dataset.json.
    - nnunet: ``imagesTr/CASE_0000.nii.gz`` (``_0001`` ... for further channels), ``labelsTr/CASE.nii.gz``.
    - pairs: ``img`` + ``label``, ``imagesTr`` + ``labelsTr`` or ``images`` + ``labels``, matched by file name, where
      ``img`` in the name of an image may be ``label`` in that of its label map.

    In both of the latter ``imagesVa`` and ``imagesTs`` are validation and test images, ``labelsVa`` and ``labelsTs``
    their label maps. A list goes before folders; between nnunet and pairs the names of images and label maps decide.

    Args:
        root: the folder.
        layout: one of them, or auto.
        datalist: name of the JSON file below `root`.
        channels: number of channels, each of which is a file in the nnunet layout.
        fold: the training cases of this fold, in the list or in splits_final.json, are held out for validation.

    Raises:
        DataError: the folder is missing or in none of the layouts, files are missing (all of them are listed) or cannot
            be used, two are one case's, or two sources contradict each other.
    """
    if not root.is_dir():
        raise DataError(f"the data set's folder {root} does not exist", hint="set dataset.root")
    path = find_list(root, datalist) if layout in {"auto", "datalist"} else None
    if layout == "datalist" and path is None:
        raise DataError(
            f"{root} has no list of cases: no {' or '.join(DATALISTS)} that has one",
            hint="set dataset.datalist or dataset.layout",
        )
    if path:
        index = _from_list(root, path, fold)
    else:
        index = _from_folders(root, layout if layout in {"nnunet", "pairs"} else None, channels, fold)
    _check_files(root, index)
    return replace(index, notes=(*index.notes, *_account(root, index, path, fold)))


def find_volumes(paths: Sequence[Path], channels: int = 1, layout: LayoutName = "auto") -> Index:
    """Cases without labels from files and folders of files, e.g. for prediction.

    Several channels may be one file, or files named as in nnU-Net: ``CASE_0000``, ``CASE_0001`` ... Of a folder that
    holds volumes those are taken; of another one, all those in the folders below it. A case is called as its file, or
    by its folders too where two files have the same name.

    Args:
        paths: files and folders.
        channels: number of channels of a case.
        layout: ``pairs``: numbers at the end of names are those of patients, not of channels.

    Raises:
        DataError: a path is missing, is not a NIfTI file or holds none, lies in a folder of label maps, or files lack
            or have more channels than `channels`.
    """
    found = [_volumes_at(path, with_channels=channels > 1) for path in paths]
    files = list({identity(file): file for volumes, _ in found for file in volumes}.values())
    check_usable(Path(), files)
    cases = _one_by_one(files) if layout == "pairs" else _by_channels(files, channels)
    firsts = told_apart([(name, images[0]) for name, images in cases])
    named = by_name(firsts, "images", "predict them one after the other, into different folders")
    return Index(
        layout,
        {case: CaseFiles(case, images) for case, (_, images) in zip(named, cases, strict=True)},
        notes=tuple(note for _, notes in found for note in notes),
    )


def _from_list(root: Path, path: Path, fold: int | None) -> Index:
    cases = read_list(root, path)
    splits = dict(cases.splits)
    if fold is not None:
        sources = [split_by_fold(cases, fold)] if cases.folds else []
        splits |= _held_out_by_fold(root, fold, sources)
    folds = tuple(sorted(set(cases.folds.values()))) if "validation" not in splits else ()
    return Index("datalist", cases.cases, splits, cases.notes, folds)


def _from_folders(root: Path, naming: Naming | None, channels: int, fold: int | None) -> Index:
    folders = read_folders(root, channels, naming)
    all_cases = [case for cases in folders.splits.values() for case in cases]
    by_name(((case.id, case.images[0]) for case in all_cases), "images", "rename one of them")
    splits = {split: tuple(case.id for case in cases) for split, cases in folders.splits.items()}
    _check_number(root, len(splits["train"]))
    if fold is not None:
        if "validation" in splits:
            raise DataError(f"{root} has a folder of validation images, and dataset.fold asks for others")
        splits |= _held_out_by_fold(root, fold, [])
    return Index(folders.naming, {case.id: case for case in all_cases}, splits, folders.notes)


def _held_out_by_fold(
    root: Path, fold: int, sources: Sequence[Mapping[str, tuple[str, ...]]]
) -> Mapping[str, tuple[str, ...]]:
    """What a list and splits_final.json say of a fold; they have to agree."""
    splits = read_splits_file(root, fold)
    found = [*sources, *([splits] if splits else [])]
    if not found:
        raise DataError(
            f"dataset.fold is {fold}, but {root} has no {SPLITS_FILE}, and no list with folds", hint="leave it out"
        )
    if any(
        {name: set(ids) for name, ids in other.items()} != {n: set(i) for n, i in found[0].items()} for other in found
    ):
        raise DataError(f"the list of cases and {SPLITS_FILE} in {root} have other cases in fold {fold}")
    return found[0]


def _check_number(root: Path, count: int) -> None:
    """nnU-Net's dataset.json says how many cases there are, so that missing ones are noticed."""
    path = root / "dataset.json"
    number = read_json(path).get("numTraining", count) if path.is_file() else count
    if str(number) != str(count):
        raise DataError(
            f"{path}: numTraining is {number}, but there are {count} training cases",
            hint="add those that are missing, take away those that do not belong there, or correct the number",
        )


def _check_files(root: Path, index: Index) -> None:
    files = [path for case in index.cases.values() for path in (*case.images, case.label) if path is not None]
    missing = [str(path.relative_to(root)) for path in files if not path.exists() and not path.is_symlink()]
    if missing:
        count = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
        raise DataError(
            f"{count} missing in {root}: {listed(missing)}",
            hint="every training image needs its label map; set dataset.layout if the folder was misread",
        )
    check_usable(root, files)


def _account(root: Path, index: Index, path: Path | None, fold: int | None) -> Iterable[str]:
    """What is to be said about all that is in the folder and not used."""
    used = [file for case in index.cases.values() for file in (*case.images, case.label) if file is not None]
    yield from name_left_out(root, find_files(root), used, _why_left_out(path))
    others = [
        name for name in sorted(file.name for file in root.glob("dataset*.json")) if _is_unused(root / name, path)
    ]
    if others:
        yield f"the lists of cases in {listed(others)} are not used"
    if fold is None and (root / SPLITS_FILE).is_file():
        yield f"{SPLITS_FILE} is not used; dataset.fold chooses one of its folds"
    labels: dict[object, list[str]] = {}
    for case in index.cases.values():
        if case.label is not None:
            labels.setdefault(identity(case.label), []).append(case.id)
    if shared := [" and ".join(ids) for ids in labels.values() if len(ids) > 1]:
        yield f"cases with one label map: {listed(shared)}"


def _why_left_out(path: Path | None) -> Callable[[Path], str]:
    folders = label_folders()

    def reason(file: Path) -> str:
        if not is_volume(file):
            return "not .nii.gz or .nii"
        if path is not None:
            return f"not in {path.name}"
        if file.parent.name.lower() in folders:
            return "label maps without an image"
        return "not in the folders of images and label maps, or not named as the images there"

    return reason


def _is_unused(path: Path, used: Path | None) -> bool:
    with suppress(DataError):  # dataset_stats.json and the like may hold anything
        return path != used and lists_cases(path)
    return False


def _volumes_at(path: Path, *, with_channels: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Volumes of a file or folder, and what is to be said about those of a folder that are not taken."""
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path} does not exist")
        if not is_volume(path):
            raise DataError(f"{path} is not named .nii.gz or .nii")
        return _with_channels(path) if with_channels else (path,), ()
    files = find_files(path)
    volumes = tuple(file for file in files if is_volume(file))
    if not volumes:
        raise DataError(f"no .nii.gz or .nii files in {path}")
    taken = tuple(file for file in volumes if file.parent == path) or volumes
    check_no_masks(path, taken, label_folders() | OTHER_MASKS)
    return taken, name_left_out(
        path,
        files,
        taken,
        lambda file: "in folders below it: give them too" if is_volume(file) else "not .nii.gz or .nii",
    )


def _with_channels(path: Path) -> tuple[Path, ...]:
    """The files of all channels of a case whose first one is given."""
    case = channel_of(stem(path))
    if case is None or case[1]:
        return (path,)
    files = (file for file in find_files(path.parent, recursive=False) if is_volume(file))
    return tuple(file for file in files if (other := channel_of(stem(file))) and other[0] == case[0])


def _one_by_one(files: Sequence[Path]) -> list[tuple[str, tuple[Path, ...]]]:
    return [(stem(file), (file,)) for file in files]


def _by_channels(files: Sequence[Path], channels: int) -> list[tuple[str, tuple[Path, ...]]]:
    """Numbered files together, where the numbers begin at 0000; files with other names on their own."""
    firsts = {(file.parent, parts[0]) for file in files if (parts := channel_of(stem(file))) and parts[1] == 0}
    numbered = [file for file in files if (parts := channel_of(stem(file))) and (file.parent, parts[0]) in firsts]
    groups = group_channels(numbered, channels)
    cases: list[tuple[str, tuple[Path, ...]]] = []
    for file in files:
        parts = channel_of(stem(file))
        key = (file.parent, parts[0] if parts else "")
        if key not in groups:
            cases.append((stem(file), (file,)))
        elif parts and parts[1] == 0:
            cases.append((parts[0], groups[key]))
    return cases
