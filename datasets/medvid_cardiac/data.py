"""ACDC, split by patients."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from medvid.data.groups import Groups
from medvid.data.splits import Splits
from medvid.data.tables.index import AnsweredCase, hold_out_patients, patients_of
from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.index import Index
from medvid_cardiac.config import ACDCOptions
from medvid_cardiac.patients import GROUPS, Patient, find_patients, images_of, index_of


class ACDC(VolumeDataset):
    """Cardiac MRI with both ventricles and the myocardium at ED and ES, see `medvid_cardiac.config.ACDCOptions`."""

    options: ACDCOptions

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Hold out a share of the patients of each diagnosis, both phases of each."""
        return hold_out_patients(self._owned, cases, self.options.validation_fraction, self.options.split_seed)

    def groups(self) -> Groups:
        """The patients."""
        return patients_of(self._owned)

    def open(self, paths: Sequence[Path]) -> Iterator[VolumeCase]:
        """As in the base class; of a patient's folder, the single frames."""
        files = [file for path in paths for file in (images_of(path, self.formats) if path.is_dir() else (path,))]
        return super().open(files or paths)

    @cached_property
    def index(self) -> Index:
        """The patients' ED and ES."""
        return index_of(self.options.root, self._patients)

    @cached_property
    def _patients(self) -> tuple[Patient, ...]:
        return find_patients(self.options.root, self.formats)

    @cached_property
    def _owned(self) -> dict[str, AnsweredCase]:
        """Whose each case is, with the diagnosis, by which patients are held out."""
        return {
            name: AnsweredCase(
                name, case.images[0], GROUPS.index(patient.group) if patient.group in GROUPS else -1, patient.name
            )
            for patient in self._patients
            for name, case in patient.phases.items()
        }
