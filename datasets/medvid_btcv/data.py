"""BTCV with its published split."""

from collections.abc import Sequence

from medvid.data.splits import Splits
from medvid.data.volumes.dataset import VolumeDataset
from medvid_btcv.published import UNETR, published_split


class BTCV(VolumeDataset):
    """Abdominal CT with 13 organs (Landman et al., MICCAI 2015 challenge), see `medvid_btcv.config.BTCVOptions`."""

    def default_split(self, cases: Sequence[str]) -> Splits:
        """The published 24/6."""
        return published_split(UNETR, cases, self.options.root)
