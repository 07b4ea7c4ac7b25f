"""The cases of BraTS as published: four modalities and a label map each, named alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import by_name, check_folder, check_usable, find_files, name_left_out
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.index import Index
from medvid.errors import DataError
from medvid.sentences import listed
from medvid_brats.names import LABEL, Layout, patient_of, read_name

_AGAIN = "take it from the download again, or remove the case"


@dataclass(frozen=True, slots=True)
class Scan:
    """A case.

    Args:
        name: its name.
        folder: where its files are.
        layout: how they are named.
        parts: the files, by modality or `LABEL`.
    """

    name: str
    folder: Path
    layout: Layout
    parts: Mapping[str, Path]

    @property
    def release(self) -> Path:
        """The folder of all cases that were published together: all of them have a label map, or none."""
        return self.folder.parent if self.folder.name == self.name else self.folder

    def files(self, modalities: Sequence[str]) -> CaseFiles:
        """The files that are used."""
        return CaseFiles(
            self.name, tuple(self.parts[one] for one in modalities), self.parts.get(LABEL), patient_of(self.name)
        )


def group_scans(files: Iterable[Path], formats: Formats, modalities: Sequence[str]) -> tuple[Scan, ...]:
    """The cases that files belong to, in the order of their names; other files are passed over.

    Raises:
        DataError: two files are the same modality of a case, two cases have one name, or modalities are missing.
    """
    found: dict[tuple[Path, Layout, str], list[tuple[str, Path]]] = {}
    for file in files:
        if formats.is_volume(file) and (name := read_name(formats.stem(file))):
            found.setdefault((file.parent, name.layout, name.case), []).append((name.part, file))
    scans = [
        Scan(name, folder, layout, by_name(parts, f"files of {name}", "keep one of them"))
        for (folder, layout, name), parts in found.items()
    ]  # fmt: skip
    by_name(((scan.name, scan.folder) for scan in scans), "cases", "remove one of them")
    _check_complete(scans, modalities)
    return tuple(sorted(scans, key=lambda scan: scan.name))


def find_scans(root: Path, formats: Formats, modalities: Sequence[str]) -> tuple[Scan, ...]:
    """The cases below a folder.

    Raises:
        DataError: there are none, or some are named as until 2022 and some as since; or as `group_scans`.
    """
    check_folder(root)
    scans = group_scans(find_files(root), formats, modalities)
    if not scans:
        other = "; for folders of nnU-Net or the Decathlon take dataset.name: nifti" * (root / "imagesTr").is_dir()
        raise DataError(
            f"{root} has no files named like CASE_flair.nii.gz (until 2022) or CASE-t2f.nii.gz (since 2023)",
            hint=f"set dataset.root to the folder that was published{other}",
        )
    first = {scan.layout.years: scan.name for scan in reversed(scans)}
    if len(first) > 1:
        examples = " and ".join(f"{name} ({years})" for years, name in first.items())
        raise DataError(
            f"{root} has cases of two layouts, whose ids differ: {examples}",
            hint="the later data have the earlier patients, too: choose one of them",
        )
    _check_labels(scans, formats)
    return scans


def index_of(root: Path, scans: Sequence[Scan], modalities: Sequence[str]) -> Index:
    """The cases, those without a label map as the test split.

    Raises:
        DataError: a file cannot be used, or no case has a label map.
    """
    cases = {scan.name: scan.files(modalities) for scan in scans}
    check_usable(root, [path for scan in scans for path in scan.parts.values()])
    train, test = (
        tuple(name for name, case in cases.items() if (case.label is None) == bare) for bare in (False, True)
    )
    if not train:
        raise DataError(f"no case in {root} has a label map", hint="add the folder of training cases")
    known = [path for scan in scans for path in scan.parts.values()]
    notes = name_left_out(root, find_files(root), known, lambda _: "not named like a modality or a label map")
    bare = (f"cases without a label map are the split test: {listed(test)}",) if test else ()
    return Index("pairs", cases, {"train": train} | ({"test": test} if test else {}), (*bare, *notes))


def _check_complete(scans: Sequence[Scan], modalities: Sequence[str]) -> None:
    missing = [
        scan.layout.file(scan.name, one) for scan in scans for one in modalities if one not in scan.parts
    ]  # fmt: skip
    if missing:
        raise DataError(
            f"files of modalities are missing: {listed(missing)}",
            hint="restore them, or choose others: dataset.modalities: [flair, t1ce]",
        )


def _check_labels(scans: Sequence[Scan], formats: Formats) -> None:
    """Refuse cases without a label map where their neighbours have one; it may have a name of its own."""
    labelled = {scan.release for scan in scans if LABEL in scan.parts}
    bare = [scan for scan in scans if LABEL not in scan.parts and scan.release in labelled]
    if not bare:
        return
    known = {path for scan in scans for path in scan.parts.values()}
    others = [
        file.name for scan in bare if scan.folder.name == scan.name
        for file in find_files(scan.folder) if formats.is_volume(file) and file not in known
    ]  # fmt: skip
    names = [scan.layout.file(scan.name, LABEL) for scan in bare]
    raise DataError(
        f"cases beside labelled ones have no label map: {listed(names)}",
        hint=f"rename it, if it is {listed(others)}" if others else _AGAIN,
    )
