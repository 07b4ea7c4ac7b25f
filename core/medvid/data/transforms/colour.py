"""Transforms of colours and of appearance, by torchvision: the same change for all frames of a video."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor
from torchvision.transforms import v2

from medvid.data.batch import Batch
from medvid.data.transform import Transform, drawing_from
from medvid.data.transforms.options import ColorJitterOptions, RandAugmentOptions

_RAND_AUGMENT_BINS = 31
"""Number of strengths in torchvision's RandAugment, from 0 to its greatest, which is 10 here."""


class _OfPictures(Transform):
    """Changes the pictures of each example alike: (C, H, W), or the frames (T, C, H, W) of a video."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        is_video, fill = batch.input.ndim == 5, self.fill(batch)
        with drawing_from(generator):
            changed = [
                self.change(example.transpose(0, 1), fill).transpose(0, 1) if is_video else self.change(example, fill)
                for example in batch.input
            ]
        return replace(batch, input=torch.stack(changed))

    def fill(self, batch: Batch) -> list[int]:
        """The data set's mean colour, as bytes; black where it has none."""
        return [round(255 * value) for value in batch.pixels.mean.tolist()] if batch.pixels else [0]

    @abstractmethod
    def change(self, pictures: Tensor, fill: list[int]) -> Tensor:
        """Change the pictures of an example, with torch's global generator."""


class ColorJitter(_OfPictures):
    """Brightness, contrast, saturation, hue, and now and then gray.

    Args:
        options: how often and how much.
    """

    def __init__(self, options: ColorJitterOptions) -> None:
        jitter = v2.ColorJitter(options.brightness, options.contrast, options.saturation, options.hue)
        self._jitter, self._drop = v2.RandomApply([jitter], options.probability), v2.RandomGrayscale(options.drop)

    def change(self, pictures: Tensor, fill: list[int]) -> Tensor:  # noqa: ARG002 (leaves no area empty)
        changed: Tensor = self._drop(self._jitter(pictures))
        return changed


class RandAugment(_OfPictures):
    """A few operations of random kinds.

    Args:
        options: how many, and how strong.
    """

    def __init__(self, options: RandAugmentOptions) -> None:
        self.options = options

    def change(self, pictures: Tensor, fill: list[int]) -> Tensor:
        options = self.options
        for _ in range(options.num_ops):
            if torch.rand(()) >= options.probability:
                continue
            strength = (options.magnitude + options.magnitude_std * float(torch.randn(()))) / 10
            magnitude = round(min(max(strength, 0.0), 1.0) * (_RAND_AUGMENT_BINS - 1))
            pictures = v2.RandAugment(1, magnitude, _RAND_AUGMENT_BINS, fill=fill)(pictures)
        return pictures
