"""From decoded frames to the input of a model: the same change for all frames of a clip, by torchvision.

Frames stay bytes until they are normalised, at the size of the input: everything before costs a quarter of the memory
traffic, and torchvision resizes bytes fastest.
"""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from medvid.config.video_augment import ColorJitterOptions, RandAugmentOptions, RandomErasingOptions
from medvid.config.videos import VideoDatasetOptions

_RAND_AUGMENT_BINS = 31
"""Strengths that torchvision's RandAugment knows, from 0 to its greatest, which is 10 here."""


def to_clip(frames: np.ndarray) -> Tensor:
    """Decoded frames (T, H, W, 3) uint8 as a tensor (T, 3, H, W) on the same memory."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def train_clip(clip: Tensor, options: VideoDatasetOptions, seed: int) -> Tensor:
    """A training example: a random part of the frames, changed as `options.augment` says.

    Args:
        clip: (T, 3, H, W) uint8, of any size.
        options: size, random changes, mean and std.
        seed: any integer from 0; decides everything that is random here. The global random state stays as it is.

    Returns:
        (3, T, size, size) float32.
    """
    augment = options.augment
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        clip = _random_crop(clip, options)
        if torch.rand(()) < augment.horizontal_flip:
            clip = functional.horizontal_flip(clip)
        if augment.color_jitter:
            clip = _jitter(clip, augment.color_jitter)
        if augment.rand_augment:
            clip = _rand_augment(clip, augment.rand_augment, [round(255 * value) for value in options.mean])
        example = normalise(clip, options)
        if augment.random_erasing:
            _erase(example, augment.random_erasing)
    return example


def test_clips(clip: Tensor, options: VideoDatasetOptions, crops: int) -> Tensor:
    """A clip for inference: the square in the middle, or three along the longer side.

    Args:
        clip: (T, 3, H, W) uint8, of any size.
        options: size, mean and std.
        crops: 1 or 3 (left, centre, right, or top, centre, bottom).

    Returns:
        (crops, 3, T, size, size) float32.
    """
    size = options.size
    short = options.test_short_side or (size if crops > 1 else options.short_side_range[0])
    clip = functional.resize(clip, [short], antialias=options.antialias)
    free = [length - size for length in clip.shape[-2:]]
    middle = [-(-length // 2) for length in free]
    longer = 0 if free[0] > free[1] else 1
    corners = []
    for crop in range(crops):
        corner = list(middle)
        if crops > 1:
            corner[longer] = (0, middle[longer], free[longer])[crop]
        corners.append(corner)
    return torch.stack([normalise(functional.crop(clip, *corner, size, size), options) for corner in corners])


def normalise(clip: Tensor, options: VideoDatasetOptions) -> Tensor:
    """(T, 3, H, W) uint8 to (3, T, H, W) float32, contiguous, less the mean and divided by the standard deviation."""
    frames, channels, height, width = clip.shape
    example = torch.empty(channels, frames, height, width).copy_(clip.transpose(0, 1))
    mean, std = (torch.tensor(values).view(-1, 1, 1, 1) for values in (options.mean, options.std))
    return example.div_(255).sub_(mean).div_(std)


def _random_crop(clip: Tensor, options: VideoDatasetOptions) -> Tensor:
    size, part = options.size, options.augment.resized_crop
    if part:
        crop = v2.RandomResizedCrop(size, part.area, part.aspect, antialias=options.antialias)
    else:
        low, high = options.short_side_range
        short = int(torch.randint(low, high + 1, ()))
        clip = functional.resize(clip, [short], antialias=options.antialias)
        crop = v2.RandomCrop(size)
    cropped: Tensor = crop(clip)
    return cropped


def _jitter(clip: Tensor, options: ColorJitterOptions) -> Tensor:
    jitter = v2.ColorJitter(options.brightness, options.contrast, options.saturation, options.hue)
    changed: Tensor = v2.RandomApply([jitter], options.probability)(clip)
    dropped: Tensor = v2.RandomGrayscale(options.drop)(changed)
    return dropped


def _rand_augment(clip: Tensor, options: RandAugmentOptions, fill: list[int]) -> Tensor:
    for _ in range(options.num_ops):
        if torch.rand(()) >= options.probability:
            continue
        strength = (options.magnitude + options.magnitude_std * float(torch.randn(()))) / 10
        magnitude = round(min(max(strength, 0.0), 1.0) * (_RAND_AUGMENT_BINS - 1))
        clip = v2.RandAugment(1, magnitude, _RAND_AUGMENT_BINS, fill=fill)(clip)
    return clip


def _erase(example: Tensor, options: RandomErasingOptions) -> None:
    """Fill a rectangle of all frames with noise, in place."""
    if torch.rand(()) >= options.probability:
        return
    found = v2.RandomErasing(1.0, options.area, options.aspect).make_params([example])
    top, left, height, width = (found[name] for name in "ijhw")
    example[..., top : top + height, left : left + width].normal_()
