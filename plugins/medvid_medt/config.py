"""Options of MedT and its family, with the names of the authors' code."""

import math
from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from medvid.config.options import BackboneOptions, ProtocolOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_size
from medvid.plugin import InputInfo, TargetInfo

STRIDES = (2, 4, 8, 16)
"""Of the stages' maps."""


class MedTWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["medt"]
    """medt: a state of the authors' code (lib/models/axialnet.py), of any of its four networks."""


class MedTOptions(BackboneOptions):
    """A U-Net of axial attention, alone or with a second one over patches (Valanarasu et al., MICCAI 2021)."""

    weights: MedTWeights | None = None
    """Published weights to start from; default: the initialisation of the published code."""
    variant: Literal["medt", "logo", "gated", "axial"] = "medt"
    """medt: gated attention over the image, attention without positions over its patches; logo: the same two branches,
    both with positions, without gates; gated and axial: one branch, of four stages, with and without gates."""
    img_size: tuple[PositiveInt, PositiveInt]
    """Input height and width; with a branch over patches, multiples of `patch_grid`."""
    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (1, 2, 4, 1)
    """Blocks of each stage; beside a branch over patches, the one over the image has the first two stages only."""
    s: PositiveFloat = 0.125
    """Multiplies all channels but the 128 of the stem's second convolution; with 1 its first has 64. A multiple of
    1/64."""
    groups: PositiveInt = 8
    """Attention heads."""
    width_per_group: PositiveInt = 64
    """Multiplies the width of the attention; 64 is half as wide as its stage."""
    patch_grid: tuple[PositiveInt, PositiveInt] = (4, 4)
    """Rows and columns of patches."""
    local_order: Literal["batched", "sequential"] = "batched"
    """How the branch over patches is trained: on all patches as one batch, or on one position of the grid after the
    other, as the authors' code does."""

    @property
    def has_local_branch(self) -> bool:
        """Whether the variant has a branch over patches."""
        return self.variant in ("medt", "logo")

    @property
    def patch_size(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.img_size[0] // self.patch_grid[0], self.img_size[1] // self.patch_grid[1]

    @property
    def attention_width(self) -> int:
        """Width of the attention in the first stage; it doubles from stage to stage."""
        return int(2 * self.s * self.width_per_group)

    @model_validator(mode="after")
    def _channels_divide(self) -> "MedTOptions":
        if 64 * self.s % 1:
            raise ValueError(f"s ({self.s}) is not a multiple of 1/64 ({1 / 64})")
        if self.s * self.width_per_group % self.groups:
            raise ValueError(
                f"s * width_per_group ({self.s * self.width_per_group:g}) is not a multiple of groups ({self.groups})"
            )
        return self

    @model_validator(mode="after")
    def _patches_fill_the_image(self) -> "MedTOptions":
        if self.has_local_branch:
            check_multiple(self, "img_size", of="patch_grid")
        return self

    @model_validator(mode="after")
    def _norms_see_more_than_one_value(self) -> "MedTOptions":
        coarsest = [_pixels(self.img_size, STRIDES[1 if self.has_local_branch else 3])]
        if self.has_local_branch:
            together = math.prod(self.patch_grid) if self.local_order == "batched" else 1
            coarsest.append(together * _pixels(self.patch_size, STRIDES[3]))
        if min(coarsest) == 1:
            raise ValueError(f"img_size {list(self.img_size)} leaves the norms of the coarsest map a single pixel")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size: its attention would have no relative positions.

        Raises:
            ValueError: naming both sizes.
        """
        check_size(info, self.img_size)


def _pixels(size: tuple[int, int], stride: int) -> int:
    """Of a map of that stride."""
    return math.prod(math.ceil(length / stride) for length in size)


class MedTProtocolOptions(ProtocolOptions):
    """Scoring as by the MedT authors."""

    name: Literal["medt"]

    def check_target(self, info: TargetInfo) -> None:
        """Refuse other than two labels, see `ProtocolOptions.check_target`."""
        if len(info.names) != 2:
            raise ValueError(
                f"it scores a foreground and the background only, but the data set has {len(info.names)} labels"
            )
