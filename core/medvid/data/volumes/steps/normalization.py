"""The scaling of a channel's intensities, (*S) float32."""

import numpy as np

from medvid.data.volumes.steps.options import (
    ChannelOptions,
    CTOptions,
    NoneOptions,
    NonzeroZScoreOptions,
    PercentileOptions,
    RescaleOptions,
    RGBOptions,
    WindowOptions,
    ZScoreOptions,
)

_PERCENTILES = (0.5, 99.5)
_SMALLEST = 1e-8  # that is divided by
_WHITE = 255


class ScalingError(Exception):
    """Why intensities cannot be scaled, as a sentence, and what to do.

    Args:
        reason: the sentence.
        hint: what to do.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def scale(  # noqa: PLR0911 (one per scheme)
    options: ChannelOptions, channel: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Scale a channel's intensities.

    The rules of nnU-Net's schemes are those of its release 2 (Isensee et al., 2021, doi:10.1038/s41592-020-01008-z).

    Args:
        options: how.
        channel: (*S) float32; it can be changed.
        mask: (*S) bool, for a z-score of its voxels alone.

    Returns:
        (*S) float32.

    Raises:
        ScalingError: the intensities do not allow it.
    """
    match options:
        case WindowOptions(low=low, high=high):
            return _to_unit(channel, low, high)
        case PercentileOptions():
            return _to_unit(channel, *_percentiles(channel))
        case NonzeroZScoreOptions():
            return _standardized_but_zeros(channel)
        case ZScoreOptions(masked=True):
            assert mask is not None, "crop: nonzero has a mask"
            return np.where(mask, _standardized(channel, *_moments(channel[mask])), np.float32(0))
        case ZScoreOptions():
            return _standardized(channel, *_moments(channel))
        case CTOptions(low=low, high=high, mean=mean, std=std):
            return _standardized(channel.clip(low, high), mean, std)
        case RescaleOptions():
            return _rescaled(channel)
        case RGBOptions():
            return _of_bytes(channel)
        case NoneOptions():
            return channel


def has_content(options: ChannelOptions, channel: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """The voxels (*S) bool that are not air: above the range's lower end where there is one, else those not 0.

    Args:
        options: how the channel was scaled.
        channel: before, as in the file.
        scaled: after.
    """
    if isinstance(options, WindowOptions | PercentileOptions):
        return scaled > 0
    if isinstance(options, CTOptions):
        return channel > options.low
    return np.asarray((scaled if isinstance(options, NonzeroZScoreOptions) else channel) != 0)


def _percentiles(channel: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(channel, _PERCENTILES)
    if low == high:
        raise ScalingError(
            "nearly all voxels have the same value, so percentiles give no range to scale by",
            "set dataset.window, or dataset.normalize: zscore",
        )
    return low, high


def _to_unit(channel: np.ndarray, low: float, high: float) -> np.ndarray:
    from monai.transforms import ScaleIntensityRange

    return np.asarray(ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(channel))


def _standardized_but_zeros(channel: np.ndarray) -> np.ndarray:
    from monai.transforms import NormalizeIntensity

    return np.asarray(NormalizeIntensity(nonzero=True)(channel))


def _moments(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def _standardized(channel: np.ndarray, mean: float, std: float) -> np.ndarray:
    return np.asarray((channel - np.float32(mean)) / np.float32(max(std, _SMALLEST)))


def _rescaled(channel: np.ndarray) -> np.ndarray:
    above = channel - channel.min()
    return np.asarray(above / np.float32(max(above.max(), _SMALLEST)))


def _of_bytes(channel: np.ndarray) -> np.ndarray:
    low, high = channel.min(), channel.max()
    if low < 0 or high > _WHITE:
        raise ScalingError(
            f"its values are from {low:g} to {high:g}, but normalize: rgb takes those from 0 to {_WHITE}",
            "choose another scaling in dataset.normalize, e.g. {name: rescale}",
        )
    return np.asarray(channel / np.float32(_WHITE))
