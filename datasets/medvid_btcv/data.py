"""BTCV with its published split."""

from collections.abc import Mapping, Sequence

from medvid.data.splits import by_number
from medvid.data.volumes import VolumeDataset
from medvid.errors import DataError

TRAIN = (*range(1, 11), *range(21, 35))
VALIDATION = tuple(range(35, 41))
"""Numbers of the cases in the UNETR authors' dataset_0.json."""


class BTCV(VolumeDataset):
    """Abdominal CT with 13 organs (Landman et al., MICCAI 2015 challenge), see `medvid_btcv.config.BTCVOptions`."""

    def default_split(self, cases: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The published 24/6, by the number at the end of each case's name."""
        numbers = by_number(cases)
        if missing := [number for number in (*TRAIN, *VALIDATION) if number not in numbers]:
            raise DataError(
                f"the published split of BTCV needs {len(missing)} cases that are not in {self.options.root}: "
                + ", ".join(f"img{number:04d}" for number in missing[:10])
                + (" ..." if len(missing) > 10 else ""),
                hint="add them, or name your own: dataset.split: {train: [...], validation: [...]}",
            )
        return {
            "train": tuple(numbers[number] for number in TRAIN),
            "validation": tuple(numbers[number] for number in VALIDATION),
        }
