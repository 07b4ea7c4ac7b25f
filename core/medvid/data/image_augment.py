"""Random changes of training images and their masks, by torchvision; all randomness comes from a seed."""

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from medvid.config.images import ImageAugmentOptions, Size2D


def augment(
    image: Tensor, mask: Tensor, options: ImageAugmentOptions, crop: Size2D | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Change an image at random, and its mask alike.

    Args:
        image: (C, H, W) float32 in [0, 1].
        mask: (H, W) label ids.
        options: the random changes.
        crop: height and width of the part to cut out; zeros are put around a smaller image.
        seed: any integer from 0; decides everything that is random here. The global random state stays as it is.

    Returns:
        Image and mask.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        changed = _transform(options, crop)(tv_tensors.Image(image), tv_tensors.Mask(mask))
    return changed[0].as_subclass(Tensor), changed[1].as_subclass(Tensor)


def _transform(options: ImageAugmentOptions, crop: Size2D | None) -> v2.Compose:
    quarters = [v2.RandomRotation((angle, angle)) for angle in (90, 180, 270)]
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(options.horizontal_flip),
            v2.RandomVerticalFlip(options.vertical_flip),
            v2.RandomApply([v2.RandomChoice(quarters)], options.rotate90),
            v2.RandomRotation(options.rotation, InterpolationMode.BILINEAR),
            v2.ColorJitter(options.brightness, options.contrast, options.saturation, options.hue),
            *([v2.RandomCrop(crop, pad_if_needed=True)] if crop else []),
        ]
    )
