"""The random change of training slices in TransUNet's code (Chen et al., 2021)."""

from dataclasses import replace

import torch
from scipy import ndimage
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid_btcv.config import TurnOrRotateOptions


class TurnOrRotate(Transform):
    """Turns and mirrors a slice, or else rotates it a little.

    Args:
        options: how often, and how far.
    """

    def __init__(self, options: TurnOrRotateOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change images (N, C, H, W) and their labels (N, H, W)."""
        pairs = [self._change(*pair, generator) for pair in zip(batch.input, batch.target, strict=True)]
        inputs, labels = zip(*pairs, strict=True)
        return replace(batch, input=torch.stack(inputs), target=torch.stack(labels))

    def _change(self, image: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        options = self.options
        turn, rotate = torch.rand(2, generator=generator).tolist()
        if turn < options.turn:
            turns, axis = int(torch.randint(4, (), generator=generator)), int(torch.randint(2, (), generator=generator))
            return _turned(image, turns, axis), _turned(label, turns, axis)
        if rotate < options.rotate:
            angle = int(torch.randint(-options.angle, options.angle, (), generator=generator))
            return _rotated(image, angle), _rotated(label, angle)
        return image, label


def _turned(array: Tensor, turns: int, axis: int) -> Tensor:
    return array.rot90(turns, (-2, -1)).flip(axis - 2)


def _rotated(array: Tensor, degrees: int) -> Tensor:
    """(..., H, W) turned with nearest neighbours, as published; areas from outside are 0."""
    turned = ndimage.rotate(array.float().numpy(), degrees, axes=(-1, -2), order=0, reshape=False)
    return torch.from_numpy(turned).to(array.dtype)
