"""Options of SlowFast and X3D, with the names of their papers and PySlowFast."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.plugin import InputInfo

STAGE_DEPTHS = {18: (1, 1, 1, 1), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of each stage, by the depth of the ResNet."""
MIN_SIZE = 32
"""Height and width of a frame at which the last stage is left with one pixel."""


class PytorchvideoWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["pytorchvideo"]
    """pytorchvideo: a file of its model zoo, e.g. SLOWFAST_8x8_R50.pyth or X3D_M.pyth."""


class SlowFastOptions(BackboneOptions):
    """Two pathways over one clip (Feichtenhofer et al., ICCV 2019, section 3); the defaults are 8x8, R50.

    8x8 is what the slow pathway sees, so the clip has ``8 * alpha`` frames at distances of ``8 / alpha``.
    """

    weights: PytorchvideoWeights | None = None
    """Published weights to start from; default: pytorchvideo's initialisation."""
    depth: Literal[18, 50, 101, 152] = 50
    """Depth of the ResNet."""
    alpha: PositiveInt = 4
    """Frame rate of the fast pathway, as a multiple of the slow one's, which takes every alpha-th frame of the clip."""
    beta_inv: PositiveInt = 8
    """Channels of the slow pathway, as a multiple of the fast one's: 1 / beta."""
    fusion_conv_channel_ratio: PositiveInt = 2
    """Channels from the fast pathway to the slow one, as a multiple of the fast pathway's."""
    fusion_kernel_size: PositiveInt = 7
    """Length in time of the convolutions between the pathways, odd: 7 in R50, 5 in R101."""
    res4_temporal_blocks: PositiveInt | None = None
    """Blocks of the third stage, res4, that convolve in time; default: all. 6 in the published 16x8 R101-50-50."""
    width: PositiveInt = 64
    """Channels of the slow pathway's stem, a multiple of `beta_inv`; the last stage has 32 times as many."""

    @model_validator(mode="after")
    def _sizes_divide(self) -> "SlowFastOptions":
        if self.width % self.beta_inv:
            raise ValueError(f"width ({self.width}) is not a multiple of beta_inv ({self.beta_inv})")
        if self.fusion_kernel_size % 2 == 0:
            raise ValueError(f"fusion_kernel_size ({self.fusion_kernel_size}) has to be odd")
        blocks = STAGE_DEPTHS[self.depth][2]
        if self.res4_temporal_blocks is not None and self.res4_temporal_blocks > blocks:
            raise ValueError(
                f"res4_temporal_blocks is {self.res4_temporal_blocks}, but res4 of R{self.depth} has {blocks} blocks"
            )
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse clips that do not divide into both pathways, and frames that are too small.

        Raises:
            ValueError: naming the size and those that work.
        """
        if info.size[0] % self.alpha:
            raise ValueError(
                f"clips of {info.size[0]} frames: their number has to be a multiple of alpha ({self.alpha})"
            )
        _check_frames(info)

    def frames_of_image(self) -> int:
        """The shortest clip with a frame for the slow pathway."""
        return self.alpha


class X3DOptions(BackboneOptions):
    """A 2D network expanded along many axes (Feichtenhofer, CVPR 2020, section 3), after its table 3."""

    weights: PytorchvideoWeights | None = None
    """Published weights to start from; default: pytorchvideo's initialisation."""
    variant: Literal["XS", "S", "M", "L"] = "M"
    """XS, S and M are one network, published for clips of 4 x 160 x 160, 13 x 160 x 160 and 16 x 224 x 224; L is
    deeper, for 16 x 312 x 312. Other sizes work as well."""
    width_factor: PositiveFloat = 2.0
    """Expansion of the channels."""
    depth_factor: PositiveFloat | None = None
    """Expansion of the number of blocks; default: the variant's, 5 for L, else 2.2."""
    bottleneck_factor: PositiveFloat = 2.25
    """Expansion of the channels inside a block."""
    head_dim: PositiveInt = 2048
    """Width of the embedding."""

    @property
    def expansion_of_depth(self) -> float:
        """`depth_factor`, or the variant's."""
        return self.depth_factor or {"L": 5.0}.get(self.variant, 2.2)

    def check_input(self, info: InputInfo) -> None:
        """Refuse frames that are too small.

        Raises:
            ValueError: naming the size and the minimum.
        """
        _check_frames(info)


def _check_frames(info: InputInfo) -> None:
    if min(info.size[1:]) < MIN_SIZE:
        raise ValueError(
            f"frames of {' x '.join(map(str, info.size[1:]))} are too small; the minimum is {MIN_SIZE} x {MIN_SIZE}"
        )
