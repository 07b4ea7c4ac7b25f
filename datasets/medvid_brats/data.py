"""BraTS, split by patients."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from medvid.data.groups import Groups
from medvid.data.listing import check_usable, find_files
from medvid.data.splits import Splits
from medvid.data.tables.index import AnsweredCase, hold_out_patients, patients_of
from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.index import Index
from medvid.errors import DataError
from medvid_brats.config import BratsOptions
from medvid_brats.names import patient_of, read_name
from medvid_brats.scans import Scan, find_scans, group_scans, index_of

GRADES = ("LGG", "HGG")
"""Folders of low and high grade gliomas, up to 2019."""


class Brats(VolumeDataset):
    """Tumours of the brain, see `medvid_brats.config.BratsOptions`."""

    options: BratsOptions

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Hold out a share of the patients, with all their times."""
        return hold_out_patients(self._owned, cases, self.options.validation_fraction, self.options.split_seed)

    def groups(self) -> Groups:
        """The patients."""
        return patients_of(self._owned)

    def open(self, paths: Sequence[Path]) -> Iterator[VolumeCase]:
        """The cases in folders, or of single modalities, by BraTS's names; without any, as in the base class."""
        found = [self._scans_at(path) for path in paths]
        if not any(found):
            return super().open(paths)
        if without := [path for path, scans in zip(paths, found, strict=True) if not scans]:
            raise DataError(f"{without[0]} has no case named as in BraTS, unlike {len(paths) - len(without)} others")
        scans = {scan.folder / scan.name: scan for each in found for scan in each}
        cases = [scan.files(self.options.modalities) for scan in scans.values()]
        check_usable(Path(), [image for case in cases for image in case.images])
        return self.open_files(cases)

    def _scans_at(self, path: Path) -> tuple[Scan, ...]:
        modalities = self.options.modalities
        if path.is_dir():
            return group_scans(find_files(path), self.formats, modalities)
        case = self._case_of(path)
        beside = find_files(path.parent, recursive=False) if case and path.is_file() else ()
        return group_scans([file for file in beside if self._case_of(file) == case], self.formats, modalities)

    def _case_of(self, path: Path) -> str:
        name = read_name(self.formats.stem(path))
        return name.case if name else ""

    @cached_property
    def index(self) -> Index:
        """The cases, see `index_of`."""
        return index_of(self.options.root, self._scans, self.options.modalities)

    @cached_property
    def _scans(self) -> tuple[Scan, ...]:
        return find_scans(self.options.root, self.formats, self.options.modalities)

    @cached_property
    def _owned(self) -> dict[str, AnsweredCase]:
        """Whose each case is, with the grade, by which patients are held out."""
        return {
            scan.name: AnsweredCase(scan.name, scan.folder, _grade(scan), patient_of(scan.name)) for scan in self._scans
        }


def _grade(scan: Scan) -> int:
    return next((number for number, grade in enumerate(GRADES) if grade in scan.folder.parts), -1)
