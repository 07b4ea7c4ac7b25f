"""Options of the random changes of training clips, named as their papers and PySlowFast name them."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import Options

Probability = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]


class ResizedCropOptions(Options):
    """A part of the frames, resized to the size of the input (Szegedy et al., CVPR 2015), as MViT is trained."""

    area: tuple[Area, Area] = (0.08, 1.0)
    """Range of the part's share of the frame's area."""
    aspect: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)
    """Range of its width over its height."""

    @model_validator(mode="after")
    def _ordered(self) -> "ResizedCropOptions":
        _check_range("area", self.area)
        _check_range("aspect", self.aspect)
        return self


class ColorJitterOptions(Options):
    """Random colours, as torchvision defines them; the defaults are ViViT's, which adds to the brightness instead."""

    probability: Probability = 0.8
    """Probability that a clip is changed; brightness, contrast, saturation and hue then all are."""
    brightness: NonNegativeFloat = 0.125
    """Multiply all values by a factor drawn from [1 - brightness, 1 + brightness]; likewise the next two."""
    contrast: NonNegativeFloat = 0.4
    saturation: NonNegativeFloat = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Turn the hue by a share of the colour circle drawn from [-hue, hue]."""
    drop: Probability = 0.1
    """Probability that a clip loses its colours."""


class RandAugmentOptions(Options):
    """RandAugment (Cubuk et al., 2020); the defaults are timm's and PySlowFast's `rand-m7-n4-mstd0.5-inc1`.

    The operations are torchvision's: it has no Invert and no SolarizeAdd, which those have, and one that does nothing.
    It follows the crop, as in timm, and what comes in from outside has the colour `mean`.
    """

    num_ops: PositiveInt = 4
    """Operations drawn for each clip (n)."""
    magnitude: Annotated[float, Field(ge=0, le=10)] = 7.0
    """How strong they are, from 0 to 10 (m)."""
    magnitude_std: NonNegativeFloat = 0.5
    """Standard deviation of the strength of each (mstd), which is then clipped to [0, 10]."""
    probability: Probability = 0.5
    """Probability that an operation that was drawn is done; 0.5 in timm, whatever the name says."""


class RandomErasingOptions(Options):
    """Noise in a rectangle, at the same place of all frames (Zhong et al., AAAI 2020), after normalisation."""

    probability: Probability = 0.25
    area: tuple[Area, Area] = (0.02, 1 / 3)
    """Range of the rectangle's share of the frame's area."""
    aspect: tuple[PositiveFloat, PositiveFloat] = (0.3, 1 / 0.3)
    """Range of its aspect."""

    @model_validator(mode="after")
    def _ordered(self) -> "RandomErasingOptions":
        _check_range("area", self.area)
        _check_range("aspect", self.aspect)
        return self


class VideoAugmentOptions(Options):
    """Random changes of training clips, the same for all frames of a clip; the defaults are TimeSformer's."""

    short_side: tuple[PositiveInt, PositiveInt] | None = None
    """Range of the length in pixels that the frames' shorter side is resized to, before a random square of `size` is
    cut out; default: 8/7 to 10/7 of `size`, which is 256 to 320 at 224. ViViT's factors 0.9 to 1.33 of 256 pixels are
    [230, 340]."""
    resized_crop: ResizedCropOptions | None = None
    """Instead of `short_side`: a part of random area and aspect; `{}` for MViT's."""
    horizontal_flip: Probability = 0.5
    """Probability of mirroring left and right; use 0 where that changes the class."""
    color_jitter: ColorJitterOptions | None = None
    """Random colours; `{}` for ViViT's."""
    rand_augment: RandAugmentOptions | None = None
    """RandAugment; `{}` for MViT's."""
    random_erasing: RandomErasingOptions | None = None
    """Random erasing; `{}` for MViT's."""
    rate_jitter: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of a factor of the span of a clip, drawn uniformly on a logarithmic scale: [0.8, 1.25] shows actions up to
    a quarter slower or faster."""
    repeats: PositiveInt = 1
    """Examples of each clip that is read, changed differently (repeated augmentation, Hoffer et al., CVPR 2020): a
    batch has `batch_size` times as many. 2 for MViT on Kinetics."""

    @model_validator(mode="after")
    def _check(self) -> "VideoAugmentOptions":
        if self.short_side is not None and self.resized_crop is not None:
            raise ValueError("short_side and resized_crop are two ways to cut out a part: leave one of them out")
        _check_range("short_side", self.short_side)
        _check_range("rate_jitter", self.rate_jitter)
        return self


def _check_range(name: str, values: tuple[float, float] | None) -> None:
    if values is not None and values[0] > values[1]:
        raise ValueError(f"{name} is {list(values)}, its first value has to be the lower one")
