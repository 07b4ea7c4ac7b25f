"""Options of the transforms that nnU-Net trains with, and their published defaults (Isensee et al., 2021).

In the published order: spatial, gaussian_noise, gaussian_blur, brightness, contrast, low_resolution, gamma of the
negative, gamma, flip, zero_outside.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from medvid.config.numbers import Fraction, PositiveFraction, check_range
from medvid.config.options import TransformOptions
from medvid.plugin.info import InputInfo, TargetInfo

Turn = Annotated[float, Field(ge=0, le=180)]
SliceAxis = Literal["auto", "none", "R", "A", "S"]

_SLICE_AXES = "RAS"


class _AcrossSlices(TransformOptions):
    slice_axis: SliceAxis = "auto"
    """The axis of a volume across its slices, along which nothing is moved or blended ("dummy 2D"). `auto`: the
    shortest axis of the patch, if the longest has more than 3 times its length, else none; of videos always time."""

    def check(self, given: InputInfo, target: TargetInfo) -> None:  # noqa: ARG002 (of any target)
        """Only volumes have axes by these names."""
        if given.axes != "volume" and self.slice_axis in _SLICE_AXES:
            raise ValueError(
                f"slice_axis {self.slice_axis} is an axis of volumes, these are {given.axes}s: leave it out"
            )


class SpatialOptions(_AcrossSlices):
    """Turn and scale about the middle, in one interpolation; the example is cut from a larger one where there is more.

    Input is interpolated linearly and 0 outside of the image; a label goes to each voxel by the largest interpolated
    indicator, and is background outside.
    """

    name: Literal["spatial"] = "spatial"
    normalises: ClassVar[bool] = True
    rotation: Turn | None = None
    """Largest angle in degrees, each axis has its own, drawn from [-rotation, rotation]. Default: 30 in volumes; in
    images, and in the plane of slices, 180, but 15 in images with one side more than 1.5 times the other."""
    rotation_probability: Fraction = 0.2
    scaling: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.4)
    """Range of the factor on distances in the image, the same for all axes: above 1 things become smaller."""
    scaling_probability: Fraction = 0.2

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("scaling", self.scaling)
        return self


class GaussianNoiseOptions(TransformOptions):
    """Noise of mean 0, with one standard deviation for all channels."""

    name: Literal["gaussian_noise"] = "gaussian_noise"
    normalises: ClassVar[bool] = True
    probability: Fraction = 0.1
    sigma: tuple[NonNegativeFloat, NonNegativeFloat] = (0.0, 0.1)
    """Range of the standard deviation, in prepared units."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("sigma", self.sigma)
        return self


class GaussianBlurOptions(TransformOptions):
    """Convolution with a Gaussian, whose width is drawn for each channel and axis; not across the frames of a video."""

    name: Literal["gaussian_blur"] = "gaussian_blur"
    normalises: ClassVar[bool] = True
    probability: Fraction = 0.2
    channel_probability: Fraction = 0.5
    """Probability of each channel in an example that is changed."""
    sigma: tuple[PositiveFloat, PositiveFloat] = (0.5, 1.0)
    """Range of the standard deviation, in voxels."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("sigma", self.sigma)
        return self


class _ByFactors(TransformOptions):
    factor: tuple[PositiveFloat, PositiveFloat] = (0.75, 1.25)
    """Range of the factor of each channel: below or above 1 with the same probability, then uniform."""
    probability: Fraction = 0.15

    @model_validator(mode="after")
    def _around_one(self) -> Self:
        _check_around_one("factor", self.factor)
        return self


class BrightnessOptions(_ByFactors):
    """All values of a channel times a factor."""

    name: Literal["brightness"] = "brightness"
    normalises: ClassVar[bool] = True


class ContrastOptions(_ByFactors):
    """Differences from the mean of a channel times a factor, clipped to the range that there was."""

    name: Literal["contrast"] = "contrast"
    normalises: ClassVar[bool] = True


class LowResolutionOptions(_AcrossSlices):
    """Channels as if taken at a lower resolution: nearest voxels down, linear interpolation up."""

    name: Literal["low_resolution"] = "low_resolution"
    normalises: ClassVar[bool] = True
    probability: Fraction = 0.25
    channel_probability: Fraction = 0.5
    """Probability of each channel in an example that is changed."""
    zoom: tuple[PositiveFraction, PositiveFraction] = (0.5, 1.0)
    """Range of the factor on the number of voxels along each axis."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("zoom", self.zoom)
        return self


class GammaOptions(TransformOptions):
    """Each channel, between its extremes, to the power of an exponent; then with the mean and deviation it had."""

    name: Literal["gamma"] = "gamma"
    normalises: ClassVar[bool] = True
    probability: Fraction = 0.3
    exponent: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.5)
    """Range of the exponent of each channel: below or above 1 with the same probability, then uniform."""
    inverted: bool = False
    """Change the negative instead, with light and dark exchanged; nnU-Net has both, this one with probability 0.1."""

    @model_validator(mode="after")
    def _around_one(self) -> Self:
        _check_around_one("exponent", self.exponent)
        return self


class ZeroOutsideOptions(TransformOptions):
    """0 wherever all channels were 0 when the example was cut, as outside of the head in skull-stripped scans.

    With a z-score that is masked, in `dataset.normalize`, it is outside of that mask.

    Last in the list: values that other transforms put there go again. Moves with the image.
    """

    name: Literal["zero_outside"] = "zero_outside"
    channels: tuple[NonNegativeInt, ...] | None = None
    """Numbers of the channels, from 0; default: all."""

    def check(self, given: InputInfo, target: TargetInfo) -> None:  # noqa: ARG002 (of any target)
        """The channels have to be there."""
        missing = [number for number in self.channels or () if number >= given.channels]
        if missing:
            raise ValueError(f"channels {missing}: the inputs have {given.channels}, numbered from 0")


def _check_around_one(name: str, values: tuple[float, float]) -> None:
    if not values[0] <= 1 <= values[1]:
        raise ValueError(f"{name} is {list(values)}, its range has to include 1")
