"""CAMUS, split by patients."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from medvid.data.groups import Groups
from medvid.data.splits import Splits
from medvid.data.tables.index import AnsweredCase, hold_out_patients, patients_of
from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.index import Index
from medvid_cardiac.echo_config import CAMUSOptions
from medvid_cardiac.echo_patients import find_echoes, images_of, index_of


class CAMUS(VolumeDataset):
    """Echocardiography: left ventricle, its wall and the atrium, see `medvid_cardiac.echo_config.CAMUSOptions`."""

    options: CAMUSOptions

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Hold out a share of the patients, with all their images."""
        return hold_out_patients(self._owned, cases, self.options.validation_fraction, self.options.split_seed)

    def groups(self) -> Groups:
        """The patients."""
        return patients_of(self._owned)

    def open(self, paths: Sequence[Path]) -> Iterator[VolumeCase]:
        """As in the base class; of a patient's folder, the images at ED and ES."""
        files = [file for path in paths for file in (images_of(path, self.formats) if path.is_dir() else (path,))]
        return super().open(files or paths)

    @cached_property
    def index(self) -> Index:
        """The images of the patients."""
        root = self.options.root
        return index_of(root, find_echoes(root, self.formats), self.options, self.formats)

    @cached_property
    def _owned(self) -> dict[str, AnsweredCase]:
        """Whose each case is."""
        return {name: AnsweredCase(name, case.images[0], -1, case.patient) for name, case in self.index.cases.items()}
