"""Noise, blur and low resolution, as nnU-Net trains with them.

The functions are the effects with given parameters; the transforms draw these.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.data.transforms.draws import happens, normal, uniform
from medvid.data.transforms.floats import as_floats
from medvid.data.transforms.margins import slice_axis_of
from medvid.data.transforms.moving import changed_each, together
from medvid.data.transforms.scan_options import GaussianBlurOptions, GaussianNoiseOptions, LowResolutionOptions

_LENGTH = 6
"""Length of a Gaussian's kernel in standard deviations."""
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def gaussian_kernel(sigma: float) -> Tensor:
    """The weights of a Gaussian on an odd number of voxels, that which is nearest to 6 sigma + 0.5; their sum is 1."""
    reach = math.floor((_LENGTH * sigma + 0.5) / 2)
    return torch.softmax(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2, 0)


def blur(channel: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Convolve a channel (*S) with a Gaussian, reflected at its rim.

    Args:
        channel: (*S).
        sigmas: standard deviation along each axis, in voxels; 0 leaves an axis as it is.
    """
    for axis, sigma in enumerate(sigmas):
        if sigma and channel.shape[axis] > 1:
            channel = _blur_along(channel, axis, gaussian_kernel(sigma))
    return channel


def lower_resolution(channel: Tensor, zooms: Sequence[float]) -> Tensor:
    """Take the nearest voxels of a coarser grid, and interpolate linearly between them.

    Args:
        channel: (*S).
        zooms: factor on the number of voxels along each axis.
    """
    coarse = [max(1, round(length * zoom)) for length, zoom in zip(channel.shape, zooms, strict=True)]
    few = functional.interpolate(channel[None, None], coarse, mode="nearest-exact")
    return functional.interpolate(few, channel.shape, mode=_LINEAR[channel.ndim])[0, 0]


class GaussianNoise(Transform):
    """Noise of one standard deviation in all channels.

    Args:
        options: how often and how much.
    """

    on_device = True

    def __init__(self, options: GaussianNoiseOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return changed_each(as_floats(batch), lambda example: self._of(example, generator))

    def _of(self, example: Tensor, generator: torch.Generator) -> Tensor:
        if not happens(self.options.probability, generator):
            return example
        [sigma] = uniform(self.options.sigma, 1, generator)
        return torch.add(example, normal(example.shape, example.device, generator), alpha=sigma)


class GaussianBlur(Transform):
    """See `blur`.

    Args:
        options: how often and how much.
    """

    on_device = True

    def __init__(self, options: GaussianBlurOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return changed_each(as_floats(batch), lambda example: self._of(example, generator))

    def _of(self, example: Tensor, generator: torch.Generator) -> Tensor:
        if not happens(self.options.probability, generator):
            return example
        channels = []
        for channel in example:
            is_changed = happens(self.options.channel_probability, generator)
            sigmas = uniform(self.options.sigma, channel.ndim, generator)
            if self.axes == "video":
                sigmas[0] = 0.0
            channels.append(blur(channel, sigmas) if is_changed else channel)
        return together(channels)


class LowResolution(Transform):
    """See `lower_resolution`.

    Args:
        options: how often and how much.
    """

    on_device = True

    def __init__(self, options: LowResolutionOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return changed_each(as_floats(batch), lambda example: self._of(example, generator))

    def _of(self, example: Tensor, generator: torch.Generator) -> Tensor:
        if not happens(self.options.probability, generator):
            return example
        slices = slice_axis_of(self.options.slice_axis, self.axes or "volume", example.shape[1:])
        channels = []
        for channel in example:
            is_changed = happens(self.options.channel_probability, generator)
            zooms = uniform(self.options.zoom, 1, generator) * channel.ndim
            if slices is not None:
                zooms[slices] = 1.0
            channels.append(lower_resolution(channel, zooms) if is_changed else channel)
        return together(channels)


def _blur_along(channel: Tensor, axis: int, kernel: Tensor) -> Tensor:
    """A sum of shifted copies, each read once: less work than a convolution of several channels that there are not."""
    length, reach = channel.shape[axis], len(kernel) // 2
    places = torch.arange(-reach, length + reach, device=channel.device).abs() % (2 * length - 2)
    padded = channel.index_select(axis, torch.minimum(places, 2 * length - 2 - places))
    blurred = padded.narrow(axis, reach, length) * kernel[reach]
    for offset, weight in enumerate(kernel.tolist()):
        if offset != reach:
            blurred.add_(padded.narrow(axis, offset, length), alpha=weight)
    return blurred
