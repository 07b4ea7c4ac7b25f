"""Options of the transforms that medvid ships."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from medvid.config.named import Named
from medvid.config.numbers import Fraction, PositiveFraction, check_range
from medvid.config.options import TransformOptions
from medvid.plugin.info import InputInfo, TargetInfo

ImageTransform = Annotated[TransformOptions, Named("transform", axes="image")]
"""The block of a transform that can change images, in the options of a data set."""
VolumeTransform = Annotated[TransformOptions, Named("transform", axes="volume")]
VideoTransform = Annotated[TransformOptions, Named("transform", axes="video")]

Degrees = Annotated[float, Field(ge=0, le=180)]
HueShift = Annotated[float, Field(ge=0, le=0.5)]


class HorizontalFlipOptions(TransformOptions):
    """Mirror left and right; not where that changes the class."""

    name: Literal["horizontal_flip"] = "horizontal_flip"
    probability: Fraction = 0.5

    def mirrored_axes(self) -> tuple[str, ...]:
        """Columns."""
        return ("W",) if self.probability else ()


class VerticalFlipOptions(TransformOptions):
    """Mirror top and bottom."""

    name: Literal["vertical_flip"] = "vertical_flip"
    probability: Fraction = 0.5

    def mirrored_axes(self) -> tuple[str, ...]:
        """Rows."""
        return ("H",) if self.probability else ()


class FlipOptions(TransformOptions):
    """Mirror axes of a volume; not R where left and right labels differ only by position."""

    name: Literal["flip"] = "flip"
    axes: tuple[Literal["R", "A", "S"], ...] = ("R", "A", "S")
    """The axes, each of which is mirrored or not on its own."""
    probability: Fraction = 0.2
    """Of each axis."""

    def mirrored_axes(self) -> tuple[str, ...]:
        """Those that are named."""
        return self.axes if self.probability else ()

    def check(self, given: InputInfo, target: TargetInfo) -> None:  # noqa: ARG002 (of any input)
        """The order of slices cannot be turned over where they have labels of their own."""
        if target.where == "frame" and "S" in self.axes:
            raise ValueError("it turns over the order of slices, but not that of their labels; set axes: [R, A]")


class Rotate90Options(TransformOptions):
    """Turn by 90, 180 or 270 degrees; volumes about the slice axis."""

    name: Literal["rotate90"] = "rotate90"
    probability: Fraction = 0.2

    def check(self, given: InputInfo, target: TargetInfo) -> None:  # noqa: ARG002 (of any target)
        """Only squares keep their shape."""
        if given.size[0] != given.size[1]:
            raise ValueError(f"of the inputs' size {list(given.size)} the first two numbers have to be equal")


class RotationOptions(TransformOptions):
    """Turn an image by an angle drawn uniformly from [-degrees, degrees]; areas from outside are black."""

    name: Literal["rotation"] = "rotation"
    degrees: Degrees = 10.0


class ScaleIntensityOptions(TransformOptions):
    """All values times 1 + a change drawn uniformly from [-range, range]."""

    name: Literal["scale_intensity"] = "scale_intensity"
    range: NonNegativeFloat = 0.1
    probability: Fraction = 0.1


class ShiftIntensityOptions(TransformOptions):
    """All values plus a change drawn uniformly from [-range, range], in prepared units."""

    name: Literal["shift_intensity"] = "shift_intensity"
    range: NonNegativeFloat = 0.1
    probability: Fraction = 0.1


class ColorJitterOptions(TransformOptions):
    """Random colours, as defined by torchvision; the defaults are ViViT's, which adds to the brightness instead."""

    name: Literal["color_jitter"] = "color_jitter"
    of_colours: ClassVar[bool] = True
    probability: Fraction = 0.8
    """Probability of a change; then brightness, contrast, saturation and hue all are changed."""
    brightness: NonNegativeFloat = 0.125
    """Multiply all values by a factor drawn from [1 - brightness, 1 + brightness]; contrast, saturation: the same."""
    contrast: NonNegativeFloat = 0.4
    saturation: NonNegativeFloat = 0.4
    hue: HueShift = 0.2
    """Shift the hue by a fraction of the colour circle drawn from [-hue, hue]."""
    drop: Fraction = 0.1
    """Probability that all becomes gray."""


class RandAugmentOptions(TransformOptions):
    """RandAugment (Cubuk et al., 2020); the defaults are timm's and PySlowFast's `rand-m7-n4-mstd0.5-inc1`.

    The operations are torchvision's: unlike timm's they include an identity, but neither Invert nor SolarizeAdd. Areas
    from outside get the data set's mean colour.
    """

    name: Literal["rand_augment"] = "rand_augment"
    of_colours: ClassVar[bool] = True
    num_ops: PositiveInt = 4
    """Operations drawn for each example (n)."""
    magnitude: Annotated[float, Field(ge=0, le=10)] = 7.0
    """Their strength, from 0 to 10 (m)."""
    magnitude_std: NonNegativeFloat = 0.5
    """Standard deviation of the strength per operation (mstd); the result is clipped to [0, 10]."""
    probability: Fraction = 0.5
    """Probability that a drawn operation is applied; 0.5 in timm, whatever its name says."""

    def check(self, given: InputInfo, target: TargetInfo) -> None:  # noqa: ARG002 (of any input)
        """Its operations move pixels, but no labels with them."""
        if target.where == "voxel":
            raise ValueError("it moves pixels, and would leave their labels where they were")


class RandomErasingOptions(TransformOptions):
    """Noise in a rectangle, at the same place in all frames (Zhong et al., AAAI 2020), after normalisation."""

    name: Literal["random_erasing"] = "random_erasing"
    probability: Fraction = 0.25
    area: tuple[PositiveFraction, PositiveFraction] = (0.02, 1 / 3)
    """Range of the rectangle's share of the area."""
    aspect: tuple[PositiveFloat, PositiveFloat] = (0.3, 1 / 0.3)
    """Range of its width divided by its height."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("area", self.area)
        check_range("aspect", self.aspect)
        return self
