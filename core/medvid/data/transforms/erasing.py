"""Random erasing: noise that takes a rectangle's place."""

from dataclasses import replace

import torch
from torch import Tensor
from torchvision.transforms import v2

from medvid.data.batch import Batch, Erased
from medvid.data.transform import Transform, drawing_from
from medvid.data.transforms.options import RandomErasingOptions


class RandomErasing(Transform):
    """Of bytes, the rectangle is erased after they are normalised, see `medvid.data.batch.Pixels`.

    Args:
        options: how often, and how large.
    """

    def __init__(self, options: RandomErasingOptions) -> None:
        self.options = options
        self._place = v2.RandomErasing(1.0, options.area, options.aspect)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        with drawing_from(generator):
            drawn = [self._erase(example) for example in batch.input]
        if batch.pixels:
            pairs = zip(drawn, batch.pixels.erased, strict=True)
            return replace(batch, pixels=replace(batch.pixels, erased=tuple(new or old for new, old in pairs)))
        changed = batch.input.clone()
        for example, erased in zip(changed, drawn, strict=True):
            if erased:
                erased.put_into(example)
        return replace(batch, input=changed)

    def _erase(self, example: Tensor) -> Erased | None:
        """Noise for a rectangle of an example (C, *S), now and then."""
        if torch.rand(()) >= self.options.probability:
            return None
        found = self._place.make_params([example])
        top, left, height, width = (found[name] for name in "ijhw")
        noise = torch.empty(example.shape)[..., top : top + height, left : left + width]
        return Erased(top, left, noise.normal_().contiguous())
