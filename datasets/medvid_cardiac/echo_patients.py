"""The patients of CAMUS as published: a folder for each, with images of two views at two phases."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import by_name, check_folder, check_usable, find_files, find_folders, name_left_out
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.index import Index
from medvid.errors import DataError
from medvid.sentences import listed
from medvid_cardiac.echo_config import VIEWS, CAMUSOptions
from medvid_cardiac.info import Info

LISTS = {"training": "train", "validation": "validation", "testing": "test"}

_PATIENT = re.compile(r"patient\d+")
_IMAGE = re.compile(r"(patient\d+)_(2CH|4CH)_(ED|ES)(_gt)?")
_SEQUENCE = re.compile(r"patient\d+_(2CH|4CH)(_half)?_sequence(_gt)?")
_DATA = ("", "database_nifti", *LISTS)


@dataclass(frozen=True, slots=True)
class Echo:
    """A patient's folder.

    Args:
        folder: the folder.
        split: train or test, by the folder that it lies in.
        files: the images and label maps by view, phase and whether it is a label map.
    """

    folder: Path
    split: str
    files: Mapping[tuple[str, str, bool], Path]

    @property
    def name(self) -> str:
        """Of the patient."""
        return self.folder.name

    def cases(self, options: CAMUSOptions) -> Iterator[CaseFiles]:
        """The images that are used."""
        for view in options.views:
            if options.quality and self._quality(view) not in options.quality:
                continue
            for phase in options.phases:
                if image := self.files.get((view, phase, False)):
                    label = self.files.get((view, phase, True))
                    yield CaseFiles(f"{self.name}_{view}_{phase}", (image,), label, self.name, (view, phase))

    def info(self, view: str) -> Path:
        """Where a view is described."""
        return self.folder / f"Info_{view}.cfg"

    def missing(self, options: CAMUSOptions) -> list[str]:
        """The images that it should have."""
        wanted = ((view, phase) for view in options.views for phase in options.phases)
        return [f"{self.name}_{view}_{phase}" for view, phase in wanted if (view, phase, False) not in self.files]

    def _quality(self, view: str) -> str:
        info = Info(self.info(view), "how good its images are (dataset.quality)")
        if quality := info.text("ImageQuality"):
            return quality.capitalize()
        raise DataError(f"{info.path} does not say the ImageQuality", hint="add it, or leave out dataset.quality")


def find_echoes(root: Path, formats: Formats) -> tuple[Echo, ...]:
    """The patients in a folder, or in database_nifti, training and testing in it, by name.

    Raises:
        DataError: there are none, or two have the same name, or two files of one are the same image.
    """
    check_folder(root)
    folders = [
        folder for place in _DATA for folder in find_folders(root / place) if _PATIENT.fullmatch(folder.name)
    ]  # fmt: skip
    if not folders:
        raise DataError(
            f"{root} has no folders patient0001, patient0002 ..., neither itself nor in {', '.join(_DATA[1:])}",
            hint="set dataset.root to the folder that was published",
        )
    named = by_name(((folder.name, folder) for folder in folders), "patients", "remove one of them")
    return tuple(
        Echo(folder, LISTS.get(folder.parent.name, "train"), dict(_images(folder, formats)))
        for folder in sorted(named.values(), key=lambda folder: folder.name)
    )


def index_of(root: Path, echoes: Sequence[Echo], options: CAMUSOptions, formats: Formats) -> Index:
    """The cases, with the splits of the lists or of the folders.

    Raises:
        DataError: a file cannot be used, or no image is left.
    """
    owned = {echo.name: tuple(echo.cases(options)) for echo in echoes}
    cases = {case.id: case for own in owned.values() for case in own}
    if not cases:
        raise DataError(f"{root} has no images of {', '.join(options.views)}, or none of the quality that is asked for")
    used = [path for case in cases.values() for path in (*case.images, case.label) if path is not None]
    check_usable(root, used)
    splits, notes = _splits(root, echoes)
    ids = {split: tuple(case.id for name in names for case in owned[name]) for split, names in splits.items()}
    if missing := [name for echo in echoes for name in echo.missing(options)]:
        notes = (*notes, f"images are not there: {listed(missing)}")
    known = [part for echo in echoes for path in echo.files.values() for part in formats.parts_of(path)]
    known += [path for echo in echoes for view in VIEWS if (path := echo.info(view)).is_file()]
    left_out = name_left_out(root, find_files(root), known, _why_left_out(formats))
    return Index("pairs", cases, {split: found for split, found in ids.items() if found}, (*notes, *left_out))


def images_of(folder: Path, formats: Formats) -> tuple[Path, ...]:
    """The images in a folder and below it, without label maps and sequences."""
    found = ((file, _IMAGE.fullmatch(formats.stem(file))) for file in find_files(folder) if formats.is_volume(file))
    return tuple(file for file, match in found if match and not match[4])


def _splits(root: Path, echoes: Sequence[Echo]) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Patients by split, and notes on the lists."""
    listed_ones = _read_lists(root)
    there = [echo.name for echo in echoes]
    if not listed_ones:
        splits: dict[str, list[str]] = {}
        for echo in echoes:
            splits.setdefault(echo.split, []).append(echo.name)
        return splits, ()
    absent = [name for names in listed_ones.values() for name in names if name not in there]
    notes = (f"patients of the lists are not there: {listed(absent)}",) if absent else ()
    return {split: [name for name in names if name in there] for split, names in listed_ones.items()}, notes


def _read_lists(root: Path) -> dict[str, list[str]]:
    """The patients of each list beside or in the folder; empty where there are none.

    Raises:
        DataError: a line is not a patient, or a patient is in two lists.
    """
    places = [folder / "database_split" for folder in (root, root.parent)]
    paths = {
        split: path for name, split in LISTS.items() for place in reversed(places)
        if (path := place / f"subgroup_{name}.txt").is_file()
    }  # fmt: skip
    found = {split: _read_list(path) for split, path in paths.items()}
    names = [name for own in found.values() for name in own]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            f"the lists in {next(iter(paths.values())).parent} have patients twice: {listed(twice)}",
            hint="each patient belongs to one of them",
        )
    return found


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="take it from the download again") from error
    for number, line in enumerate(lines, 1):
        if line.strip() and not _PATIENT.fullmatch(line.strip()):
            raise DataError(f"{path}:{number}: {line.strip()!r} is not the name of a patient, such as patient0001")
    return [line.strip() for line in lines if line.strip()]


def _images(folder: Path, formats: Formats) -> Iterator[tuple[tuple[str, str, bool], Path]]:
    """The images and label maps by view and phase."""
    found = [
        (match, file) for file in find_files(folder, recursive=False)
        if formats.is_volume(file) and (match := _IMAGE.fullmatch(formats.stem(file))) and match[1] == folder.name
    ]  # fmt: skip
    by_name(((match[0], file) for match, file in found), "images", "keep one of them")
    for match, file in found:
        yield (match[2], match[3], bool(match[4])), file


def _why_left_out(formats: Formats) -> Callable[[Path], str]:
    def reason(file: Path) -> str:
        if _SEQUENCE.fullmatch(formats.stem(file)) or _SEQUENCE.fullmatch(file.stem):
            return "a sequence, not ED or ES"
        return "not an image or a label map of a patient at ED or ES"

    return reason
