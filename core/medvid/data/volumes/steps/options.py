"""Options of the steps that make of files what models see: intensities, crop and voxel size."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from medvid.config.options import Options


class _Range(Options):
    low: float
    """Lowest intensity, in the file's units; lower ones become this one."""
    high: float
    """Highest intensity, likewise."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}: low has to be the lower one")
        return self


class WindowOptions(_Range):
    """A range of intensities becomes [0, 1]."""

    name: Literal["window"] = "window"


class PercentileOptions(Options):
    """What lies between the 0.5th and 99.5th percentile of the volume becomes [0, 1]."""

    name: Literal["percentile"] = "percentile"


class NonzeroZScoreOptions(Options):
    """Mean 0 and standard deviation 1 over the channel's nonzero voxels; zeros stay."""

    name: Literal["nonzero_zscore"] = "nonzero_zscore"


class ZScoreOptions(Options):
    """Mean 0 and standard deviation 1 over the volume (nnU-Net's ZScoreNormalization)."""

    name: Literal["zscore"] = "zscore"
    masked: bool = False
    """Over the voxels that `crop: nonzero`, which it needs, finds; the others become 0."""


class CTOptions(_Range):
    """Clipped, then minus the mean and by the standard deviation of the data set (nnU-Net's CTNormalization)."""

    name: Literal["ct"] = "ct"
    mean: float
    """Mean of the training cases' labelled voxels."""
    std: PositiveFloat
    """Their standard deviation."""


class RescaleOptions(Options):
    """The lowest and highest intensity of the volume become 0 and 1 (nnU-Net's RescaleTo01Normalization)."""

    name: Literal["rescale"] = "rescale"


class RGBOptions(Options):
    """Divided by 255; other values than 0 to 255 are refused (nnU-Net's RGBTo01Normalization)."""

    name: Literal["rgb"] = "rgb"


class NoneOptions(Options):
    """As in the file."""

    name: Literal["none"] = "none"


ChannelOptions = Annotated[
    WindowOptions
    | PercentileOptions
    | NonzeroZScoreOptions
    | ZScoreOptions
    | CTOptions
    | RescaleOptions
    | RGBOptions
    | NoneOptions,
    Field(discriminator="name"),
]
"""How the intensities of a channel are scaled."""

Normalization = Literal["window", "percentile", "zscore"] | tuple[ChannelOptions, ...]


def of_channels(
    normalize: Normalization, window: tuple[float, float] | None, channels: int
) -> tuple[ChannelOptions, ...]:
    """The options of each channel; a string stands for the same ones for all channels."""
    if not isinstance(normalize, str):
        return normalize
    if normalize == "window":
        assert window is not None, "checked with the options"
        return (WindowOptions(low=window[0], high=window[1]),) * channels
    return (PercentileOptions() if normalize == "percentile" else NonzeroZScoreOptions(),) * channels


def check_normalization(normalize: Normalization, window: tuple[float, float] | None, crop: bool | str) -> None:
    """Refuse scalings that contradict other options.

    Raises:
        ValueError: saying which.
    """
    if normalize == "window" and window is None:
        raise ValueError("normalize is window, but window is not set: give one, e.g. [-175, 250] HU")
    if normalize != "window" and window is not None:
        what = normalize if isinstance(normalize, str) else "a list"
        raise ValueError(f"normalize is {what}, which uses no window: leave one of them out")
    if window is not None and not window[0] < window[1]:
        raise ValueError(f"window is {list(window)}, its first value has to be the lower one")
    if not isinstance(normalize, str) and crop != "nonzero" and any(map(is_masked, normalize)):
        raise ValueError("normalize has masked: true, whose mask comes from crop: nonzero, but crop is not nonzero")


def is_masked(options: ChannelOptions) -> bool:
    """Whether voxels outside of the mask are 0."""
    return isinstance(options, ZScoreOptions) and options.masked


def _spelled_out(value: Any) -> Any:
    return "body" if value is True else value


Crop = Annotated[Literal["body", "nonzero"] | bool, BeforeValidator(_spelled_out)]
"""How a volume is cropped; true stands for the body."""

Degree = Annotated[int, Field(ge=0, le=5)]


class SplineOptions(Options):
    """Interpolation of intensities."""

    order: Degree = 3
    """Degree of the spline: 0 takes the nearest voxel, 1 is linear, 3 cubic."""
    order_z: Degree = 0
    """Degree along an axis that is resampled on its own, see `separate_z`."""


class LinearOptions(Options):
    """Interpolation of labels, each of which is 0 or 1 in the file and wins where it is largest, or of scores."""

    order: Literal[0, 1] = 1
    """0 takes the nearest voxel, 1 is linear."""
    order_z: Literal[0, 1] = 0
    """Likewise along an axis that is resampled on its own."""


class ResamplingOptions(Options):
    """nnU-Net's resampling: crop and normalisation come before it, and a volume keeps its extent, not its origin."""

    image: SplineOptions = SplineOptions()
    """Intensities, which are then clipped to the range that they had."""
    label: LinearOptions = LinearOptions()
    """Labels."""
    scores: LinearOptions = LinearOptions()
    """A model's scores, on their way back to the grid of the file."""
    separate_z: Literal["auto"] | bool = "auto"
    """Resample the coarsest axis on its own, by order_z. `auto`: where its voxels are more than three times as long as
    the shortest axis' in the file, or else after resampling."""


Resampling = Literal["linear"] | ResamplingOptions
