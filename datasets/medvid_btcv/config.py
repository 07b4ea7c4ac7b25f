"""Options of BTCV and of the phantoms that stand in for it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from medvid.config.options import Options
from medvid.config.volumes import Size, Spacing, VolumeDatasetOptions

LABELS = (
    "background",
    "spleen",
    "right_kidney",
    "left_kidney",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior_vena_cava",
    "portal_splenic_veins",
    "pancreas",
    "right_adrenal",
    "left_adrenal",
)
"""The labels of the challenge, by id."""


class BTCVOptions(VolumeDatasetOptions):
    """BTCV, with the preparation and augmentation of the UNETR authors (research-contributions, UNETR/BTCV).

    Cases are split as `split` says, else as a datalist in the folder says, else as published: img0001-0010 and
    img0021-0034 for training, img0035-0040 for validation.
    """

    name: Literal["btcv"] = "btcv"
    spacing: Spacing | None = (1.5, 1.5, 2.0)
    normalize: Literal["window", "percentile", "zscore"] = "window"
    window: tuple[float, float] | None = (-175.0, 250.0)

    def label_names(self) -> tuple[str, ...]:
        """Background and the 13 organs."""
        return LABELS


class PhantomOptions(Options):
    """Abdominal phantoms in BTCV's layout and file format."""

    train: PositiveInt = 16
    """Number of training cases."""
    validation: PositiveInt = 4
    """Number of validation cases."""
    shape: Size = (80, 64, 40)
    """Voxels of each file, on its own axes."""
    spacing: Spacing = (3.9, 3.9, 5.0)
    """Voxel size of the files in mm, give or take 5 %."""
    seed: Annotated[int, Field(ge=0)] = 0
