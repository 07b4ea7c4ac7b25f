"""Brightness, contrast and gamma, as nnU-Net trains with them: each channel of an example on its own.

The functions are the effects with given parameters; the transforms draw these.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.data.transforms.draws import around_one, happens
from medvid.data.transforms.floats import as_floats
from medvid.data.transforms.moving import changed_each, together
from medvid.data.transforms.scan_options import BrightnessOptions, ContrastOptions, GammaOptions

_LEAST = 1e-7
"""Ranges and deviations below it count as it, so that constant channels stay finite."""


def brighten(channel: Tensor, factor: float) -> Tensor:
    """All values times a factor."""
    return channel * factor


def change_contrast(channel: Tensor, factor: float) -> Tensor:
    """Differences from the mean times a factor, clipped to the range of the channel."""
    low, high = torch.aminmax(channel)
    return torch.lerp(channel.mean(), channel, factor).clamp_(low, high)


def change_gamma(channel: Tensor, exponent: float, *, inverted: bool = False) -> Tensor:
    """Values between the extremes to the power of an exponent, then with the mean and deviation of the channel.

    Args:
        channel: (*S), or any tensor.
        exponent: below 1 makes dark values lighter.
        inverted: of the negative.
    """
    low, high = torch.aminmax(channel)
    span = (high - low).clamp(min=_LEAST)
    part = ((high - channel) if inverted else (channel - low)).div_(span)
    powered = part.pow_(exponent)
    mean, deviation = _statistics(channel)
    new_mean, new_deviation = _statistics(powered)
    scale = deviation / (new_deviation * span).clamp(min=_LEAST) * span
    return powered.sub_(new_mean).mul_(-scale if inverted else scale).add_(mean)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, in two passes, which on CPUs is faster than torch's one."""
    mean = values.mean()
    return mean, torch.linalg.vector_norm(values - mean) / max(values.numel() - 1, 1) ** 0.5


class _OfChannels(Transform):
    """Changes all channels of an example, each by a number of its own around 1.

    Args:
        options: how often and how much.
    """

    on_device = True

    def __init__(self, options: BrightnessOptions | ContrastOptions | GammaOptions) -> None:
        self.options = options
        self.range = options.exponent if isinstance(options, GammaOptions) else options.factor

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return changed_each(as_floats(batch), lambda example: self._of(example, generator))

    def _of(self, example: Tensor, generator: torch.Generator) -> Tensor:
        if not happens(self.options.probability, generator):
            return example
        numbers = around_one(self.range, len(example), generator)
        return together([self.change(channel, number) for channel, number in zip(example, numbers, strict=True)])

    @abstractmethod
    def change(self, channel: Tensor, number: float) -> Tensor:
        """Change a channel (*S)."""


class Brightness(_OfChannels):
    """See `brighten`."""

    def change(self, channel: Tensor, number: float) -> Tensor:
        return brighten(channel, number)


class Contrast(_OfChannels):
    """See `change_contrast`."""

    def change(self, channel: Tensor, number: float) -> Tensor:
        return change_contrast(channel, number)


class Gamma(_OfChannels):
    """See `change_gamma`."""

    options: GammaOptions

    def change(self, channel: Tensor, number: float) -> Tensor:
        return change_gamma(channel, number, inverted=self.options.inverted)
