"""Data sets of segmented images."""

from collections.abc import Mapping, Sequence

from medvid.data.images.dataset import ImageDataset


class ImageMasks(ImageDataset):
    """A user's own images, see `medvid_image_masks.config.ImageMasksOptions`."""


class GlaS(ImageDataset):
    """Colon glands (Sirinukunwattana et al., Medical Image Analysis 2017)."""

    def default_split(self, cases: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The published 85/80, by the archive's file names: train_*, testA_* and testB_*."""
        splits = {name: tuple(case for case in cases if case.startswith(name)) for name in ("train", "test")}
        if sum(map(len, splits.values())) == len(cases) and all(splits.values()):
            return splits
        return super().default_split(cases)


class MoNuSeg(ImageDataset):
    """Nuclei of several organs (Kumar et al., IEEE Transactions on Medical Imaging 2020)."""
