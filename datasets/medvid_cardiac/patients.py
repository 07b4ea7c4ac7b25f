"""The patients of ACDC as published: a folder for each, with an Info.cfg, the 4D series, and two labelled frames."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import by_name, check_folder, check_usable, find_files, find_folders, name_left_out
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.index import Index
from medvid.errors import DataError
from medvid_cardiac.info import NAME, Info

PHASES = ("ED", "ES")
GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
"""Diagnoses: normal, infarction, dilated and hypertrophic cardiomyopathy, abnormal right ventricle."""

_PATIENT, _FRAME = re.compile(r"patient(\d+)"), re.compile(r"(.+)_frame(\d+)(_gt)?")
_SPLITS = {"training": "train", "testing": "test"}
_LAST_TRAINED = 100  # of the 150 patients


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's folder.

    Args:
        name: its name.
        split: train or test.
        group: the diagnosis, one of `GROUPS`, or empty where Info.cfg does not say.
        phases: the case of each phase, by its id.
        known: all files that belong to the layout.
    """

    name: str
    split: str
    group: str
    phases: Mapping[str, CaseFiles]
    known: tuple[Path, ...]


def find_patients(root: Path, formats: Formats) -> tuple[Patient, ...]:
    """The patients in a folder, or in `training` and `testing` in it, by name.

    Raises:
        DataError: there are none, two have the same name, or one's files are incomplete.
    """
    check_folder(root)
    folders = [
        folder for place in (root, *(root / name for name in _SPLITS)) for folder in find_folders(place)
        if _PATIENT.fullmatch(folder.name)
    ]  # fmt: skip
    if not folders:
        raise DataError(
            f"{root} has no folders patient001, patient002 ..., neither itself nor in training and testing",
            hint="set dataset.root to the folder that was published",
        )
    named = by_name(((folder.name, folder) for folder in folders), "patients", "remove one of them")
    return tuple(_patient(folder, formats) for folder in sorted(named.values(), key=lambda folder: folder.name))


def index_of(root: Path, patients: Sequence[Patient]) -> Index:
    """The cases of the patients.

    Raises:
        DataError: a file cannot be used.
    """
    cases = {name: case for patient in patients for name, case in patient.phases.items()}
    splits = {
        split: tuple(name for patient in patients if patient.split == split for name in patient.phases)
        for split in _SPLITS.values()
    }
    check_usable(root, [path for case in cases.values() for path in (*case.images, case.label) if path is not None])
    known = [path for patient in patients for path in patient.known]
    notes = name_left_out(root, find_files(root), known, lambda _: f"not the series, ED or ES of a patient or {NAME}")
    if not splits["train"]:
        raise DataError(
            f"{root} has test patients, but none to train on", hint="add the folder training beside testing"
        )
    return Index("pairs", cases, {split: ids for split, ids in splits.items() if ids}, notes)


def images_of(folder: Path, formats: Formats) -> tuple[Path, ...]:
    """The single frames in a folder and below it, without label maps and series."""
    frames = ((file, _FRAME.fullmatch(formats.stem(file))) for file in find_files(folder) if formats.is_volume(file))
    return tuple(file for file, match in frames if match and not match[3])


def _patient(folder: Path, formats: Formats) -> Patient:
    info = Info(folder / NAME)
    split = _SPLITS.get(folder.parent.name) or ("train" if _number(folder) <= _LAST_TRAINED else "test")
    frames = _frames(folder, formats)
    numbers = [info.frame(phase) for phase in PHASES]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"{info.place('ES')}: ED and ES are both frame {numbers[0]}", hint="correct one of them")
    phases = {
        f"{folder.name}_{phase}": CaseFiles(
            f"{folder.name}_{phase}",
            (_image(folder, info, phase, number, frames),),
            frames.get((number, True)),
            patient=folder.name,
            groups=(phase,),
        )
        for phase, number in zip(PHASES, numbers, strict=True)
    }
    used = [path for case in phases.values() for path in (*case.images, case.label) if path is not None]
    series = [file for file in find_files(folder) if formats.stem(file) == f"{folder.name}_4d"]
    return Patient(folder.name, split, info.text("Group"), phases, (info.path, *used, *series))


def _image(folder: Path, info: Info, phase: str, number: int, frames: Mapping[tuple[int, bool], Path]) -> Path:
    """The image of a phase, which has to be one of the frames."""
    if (number, False) in frames:
        return frames[number, False]
    there = sorted(number for number, is_label in frames if not is_label)
    if not there:
        raise DataError(
            f"{folder} has no single frames, {folder.name}_frame{number:02d}.nii.gz and the like",
            hint="ED and ES are files of their own beside the 4D series: take them from the download",
        )
    raise DataError(
        f"{info.place(phase)}: there is no {folder.name}_frame{number:02d}; there are frames "
        f"{', '.join(map(str, there))}",
        hint="frames count from 1, in Info.cfg and in the names of files",
    )


def _frames(folder: Path, formats: Formats) -> dict[tuple[int, bool], Path]:
    """The frames by their number, and whether they are label maps."""
    found = list(_numbered(folder, formats))
    by_name(((f"{number} {is_label}", file) for number, is_label, file in found), "frames", "keep one of them")
    return {(number, is_label): file for number, is_label, file in found}


def _numbered(folder: Path, formats: Formats) -> Iterator[tuple[int, bool, Path]]:
    for file in find_files(folder, recursive=False):
        match = _FRAME.fullmatch(formats.stem(file)) if formats.is_volume(file) else None
        if match and match[1] == folder.name:
            yield int(match[2]), bool(match[3]), file


def _number(folder: Path) -> int:
    match = _PATIENT.fullmatch(folder.name)
    return int(match[1]) if match else 0
