"""Options of the protocols of challenges."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from medvid.config.evaluation import Regions, check_regions
from medvid.config.options import ProtocolOptions
from medvid.plugin.info import TargetInfo

REGIONS: Regions = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
"""Whole tumour, tumour core and enhancing tumour, as unions of labels."""


class BratsProtocolOptions(ProtocolOptions):
    """Scoring as BraTS does since 2023; defaults for gliomas, also of Sub-Saharan Africa and of children."""

    name: Literal["brats"]
    regions: Regions = Field(default_factory=lambda: dict(REGIONS))
    """Ids of the labels that each region unites; default: those of 2023 (1 necrosis, 2 oedema, 3 enhancing tumour).
    In files up to 2022 the enhancing tumour is 4, which the data set `brats` makes 3. Where a data set is annotated
    with regions, these are scored."""
    dilation: NonNegativeInt = 3
    """Steps by which the truth is dilated to tell its lesions apart; meningiomas and metastases: 1."""
    least_volume: NonNegativeFloat = 50.0
    """In mm^3: lesions that are not larger are not asked for; metastases: 2."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse regions of labels that do not exist, see `ProtocolOptions.check_target`."""
        if info.what == "class":
            check_regions(self.regions, info)
        elif self.regions != REGIONS:  # a resolved task has all options, also those that nobody gave
            raise ValueError("regions unite classes, but the target is labels per voxel, which may be regions already")


class IslesProtocolOptions(ProtocolOptions):
    """Scoring as ISLES 2022 does."""

    name: Literal["isles"]
