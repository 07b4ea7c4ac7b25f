"""Transforms that move pixels and voxels, and the labels with them."""

from abc import abstractmethod

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from medvid.data.batch import Batch
from medvid.data.transform import Transform, drawing_from
from medvid.data.transforms.draws import fractions, happens
from medvid.data.transforms.moving import moved
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
        return moved(batch, lambda example, maps: self.move(example, maps, generator))

    @abstractmethod
    def move(self, input: Tensor, maps: list[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Change an example (C, *S) and what lies on its voxels, each (..., *S)."""


class _Flip(_Moving):
    on_device = True
    axis: int
    """Of the example, counted from its end."""

    def __init__(self, options: HorizontalFlipOptions | VerticalFlipOptions) -> None:
        self.options = options

    def move(self, input: Tensor, maps: list[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        if not happens(self.options.probability, generator):
            return input, maps
        return input.flip(self.axis), [each.flip(self.axis) for each in maps]


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

    on_device = True

    def __init__(self, options: FlipOptions) -> None:
        self.options = options

    def move(self, input: Tensor, maps: list[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        drawn = zip(self.options.axes, fractions(len(self.options.axes), generator), strict=True)
        dims = ["RAS".index(axis) - 3 for axis, decision in drawn if decision < self.options.probability]
        return input.flip(dims), [each.flip(dims) for each in maps]


class Rotate90(_Moving):
    """Quarter turns in the plane of the first two axes of *S.

    Args:
        options: how often.
    """

    on_device = True

    def __init__(self, options: Rotate90Options) -> None:
        self.options = options

    def move(self, input: Tensor, maps: list[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        decision, place = fractions(2, generator)
        if decision >= self.options.probability:
            return input, maps
        axes = input.ndim - 1
        turns, dims = 1 + int(3 * place), (-axes, 1 - axes)
        return input.rot90(turns, dims), [each.rot90(turns, dims) for each in maps]


class Rotation(_Moving):
    """By any angle, with torchvision: images by linear, labels by nearest interpolation.

    Args:
        options: the largest angle.
    """

    def __init__(self, options: RotationOptions) -> None:
        self._rotate = v2.RandomRotation(options.degrees, InterpolationMode.BILINEAR)

    def move(self, input: Tensor, maps: list[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        with drawing_from(generator):
            image, turned = self._rotate(tv_tensors.Image(input), [tv_tensors.Mask(each) for each in maps])
        return image.as_subclass(Tensor), [each.as_subclass(Tensor) for each in turned]
