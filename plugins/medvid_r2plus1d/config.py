"""Options of R(2+1)D."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.plugin import InputInfo

MIN_SIZE = 16
"""Height and width of a frame at which the last stage is left with one pixel."""


class R2Plus1DWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["torchvision"]
    """torchvision: r2plus1d_18, trained on Kinetics-400: r2plus1d_18-91a641e6.pth."""


class R2Plus1DOptions(BackboneOptions):
    """A ResNet whose convolutions are split into space and time (Tran et al., CVPR 2018); default: R(2+1)D-18."""

    weights: R2Plus1DWeights | None = None
    """Published weights to start from; default: He et al.'s initialisation, as in torchvision."""
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2)
    """Residual blocks of each stage; (3, 4, 6, 3) for R(2+1)D-34."""
    width: Annotated[int, Field(ge=2)] = 64
    """Channels of the first stage; each further one has twice as many."""

    def check_input(self, info: InputInfo) -> None:
        """Refuse frames that are too small.

        Raises:
            ValueError: naming the size and the minimum.
        """
        if min(info.size[1:]) < MIN_SIZE:
            size = " x ".join(map(str, info.size[1:]))
            raise ValueError(f"frames of {size} are too small; the minimum is {MIN_SIZE} x {MIN_SIZE}")
