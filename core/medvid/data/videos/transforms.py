"""From decoded frames to the input of a model: the same change for all frames of a clip, by torchvision.

Frames stay bytes until they are normalised, at the input's size, and in training on the model's device: everything
before that costs a quarter of the memory traffic, and torchvision resizes bytes fastest.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from medvid.data.batch import Pixels
from medvid.data.transform import drawing_from
from medvid.data.videos.clip_options import ClipOptions, PictureOptions
from medvid.data.videos.video import Video


def to_clip(frames: np.ndarray) -> Tensor:
    """Decoded frames (T, H, W, 3) uint8 as a tensor (T, 3, H, W) on the same memory."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def read_clip(video: Video, times: Sequence[float], options: ClipOptions) -> Tensor:
    """The frames shown at these times, (T, 3, H, W) uint8; with `short: blank` of one colour behind the end."""
    clip = to_clip(video.frames_at(times))
    if options.short == "blank":
        clip[torch.from_numpy(video.within(times) >= video.length.duration)] = blank(options)
    return clip


def blank(options: PictureOptions) -> Tensor:
    """A pixel of the mean colour, (3, 1, 1) uint8."""
    return torch.tensor(options.blank_colour, dtype=torch.uint8).view(3, 1, 1)


def random_crop(clip: Tensor, options: PictureOptions, generator: torch.Generator) -> Tensor:
    """A random part of the frames (T, 3, H, W) uint8, of any size, for training: (T, 3, size, size)."""
    size, part = options.size, options.resized_crop
    with drawing_from(generator):
        if part:
            crop = v2.RandomResizedCrop(size, part.area, part.aspect, antialias=options.antialias)
        else:
            low, high = options.short_side_range
            short = int(torch.randint(low, high + 1, ()))
            clip = _scaled(clip, short, options)
            crop = v2.RandomCrop(size, options.margin or None, fill=options.blank_colour)
        cropped: Tensor = crop(clip)
    return cropped


def pixels(options: PictureOptions) -> Pixels:
    """How the bytes of an example become the input of a model."""
    return Pixels(torch.tensor(options.mean), torch.tensor(options.std), (None,))


def centre(clip: Tensor, options: PictureOptions) -> Tensor:
    """The square in the middle of frames (T, 3, H, W) uint8, for inference: (T, 3, size, size)."""
    return squares(clip, options, 1)[0]


def test_clips(clip: Tensor, options: PictureOptions, crops: int) -> Tensor:
    """A clip for inference: the square in the middle, or three along the longer side.

    Args:
        clip: (T, 3, H, W) uint8, of any size.
        options: size, mean and std.
        crops: 1 or 3 (left, centre, right, or top, centre, bottom).

    Returns:
        (crops, 3, T, size, size) float32.
    """
    return torch.stack([normalise(square, options) for square in squares(clip, options, crops)])


def squares(clip: Tensor, options: PictureOptions, crops: int) -> list[Tensor]:
    """The squares of `test_clips` as they are, (T, 3, size, size) uint8 each."""
    size = options.size
    short = options.test_short_side or (size if crops > 1 or options.whole else options.short_side_range[0])
    clip = _scaled(clip, short, options)
    free = [length - size for length in clip.shape[-2:]]
    middle = [-(-length // 2) for length in free]
    longer = 0 if free[0] > free[1] else 1
    corners = []
    for crop in range(crops):
        corner = list(middle)
        if crops > 1:
            corner[longer] = (0, middle[longer], free[longer])[crop]
        corners.append(corner)
    return [functional.crop(clip, *corner, size, size) for corner in corners]


def _scaled(clip: Tensor, short: int, options: PictureOptions) -> Tensor:
    """Frames (T, 3, H, W) with a shorter side of this length, or with both, see `PictureOptions.whole`."""
    sides = [short, short] if options.whole else [short]
    scaled: Tensor = functional.resize(clip, sides, antialias=options.antialias)
    return scaled


def normalise(clip: Tensor, options: PictureOptions) -> Tensor:
    """(T, 3, H, W) uint8 to (3, T, H, W) float32, contiguous, minus the mean, divided by the standard deviation."""
    return pixels(options).normalise(clip.transpose(0, 1).unsqueeze(0))[0]
