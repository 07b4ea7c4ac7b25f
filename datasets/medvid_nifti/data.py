"""A user's own segmented volumes."""

from collections.abc import Mapping, Sequence

from medvid.data.splits import hold_out
from medvid.data.volumes.dataset import VolumeDataset
from medvid_nifti.config import NIfTIOptions


class NIfTI(VolumeDataset):
    """Volumes with label maps, see `medvid_nifti.config.NIfTIOptions`."""

    options: NIfTIOptions

    def default_split(self, cases: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Hold out a share of the cases."""
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed)
