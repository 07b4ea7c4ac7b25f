"""Transforms that move pixels and voxels, and the labels with them."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from medvid.data.batch import Batch
from medvid.data.transform import Transform, drawing_from
from medvid.data.transforms.options import (
    FlipOptions,
    HorizontalFlipOptions,
    Rotate90Options,
    RotationOptions,
    VerticalFlipOptions,
)


class _Moving(Transform):
    """Changes input and labels of each example in the same way, where there is a label for each voxel."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        has_maps = batch.target.ndim >= batch.input.ndim - 1
        labels = batch.target if has_maps else batch.input
        pairs = [self.move(*pair, generator) for pair in zip(batch.input, labels, strict=True)]
        moved = replace(batch, input=torch.stack([each for each, _ in pairs]))
        return replace(moved, target=torch.stack([label for _, label in pairs])) if has_maps else moved

    @abstractmethod
    def move(self, input: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Change an example (C, *S) and its labels (..., *S)."""


class _Flip(_Moving):
    axis: int
    """Of the example, counted from its end."""

    def __init__(self, options: HorizontalFlipOptions | VerticalFlipOptions) -> None:
        self.options = options

    def move(self, input: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if torch.rand((), generator=generator) >= self.options.probability:
            return input, label
        return input.flip(self.axis), label.flip(self.axis)


class HorizontalFlip(_Flip):
    """Left and right of images and of all frames of a video."""

    axis = -1


class VerticalFlip(_Flip):
    """Top and bottom of images and of all frames of a video."""

    axis = -2


class Flip(_Moving):
    """Each axis of a volume on its own.

    Args:
        options: which axes, and how often.
    """

    def __init__(self, options: FlipOptions) -> None:
        self.options = options

    def move(self, input: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        decisions = torch.rand(len(self.options.axes), generator=generator).tolist()
        drawn = zip(self.options.axes, decisions, strict=True)
        dims = ["RAS".index(axis) - 3 for axis, decision in drawn if decision < self.options.probability]
        return input.flip(dims), label.flip(dims)


class Rotate90(_Moving):
    """Quarter turns in the plane of the first two axes of *S.

    Args:
        options: how often.
    """

    def __init__(self, options: Rotate90Options) -> None:
        self.options = options

    def move(self, input: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        decision, place = torch.rand(2, generator=generator).tolist()
        if decision >= self.options.probability:
            return input, label
        axes = input.ndim - 1
        turns, dims = 1 + int(3 * place), (-axes, 1 - axes)
        return input.rot90(turns, dims), label.rot90(turns, dims)


class Rotation(_Moving):
    """By any angle, with torchvision: images by linear, labels by nearest interpolation.

    Args:
        options: the largest angle.
    """

    def __init__(self, options: RotationOptions) -> None:
        self._rotate = v2.RandomRotation(options.degrees, InterpolationMode.BILINEAR)

    def move(self, input: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        with drawing_from(generator):
            image, mask = self._rotate(tv_tensors.Image(input), tv_tensors.Mask(label))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)
