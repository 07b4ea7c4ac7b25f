"""nnU-Net's random changes of patches: medvid's transforms against batchgeneratorsv2's, which nnU-Net uses.

    python benchmarks/augmentation.py [--size N] [--labels N] [--patches N] [--quick]

Both sides have the published list with its probabilities, and are given the same patches as they are cut: larger than
they will be, the image in float32 and the label map in small integers. They take turns, in one thread of one process,
as in one loader process. Seconds are those of the processor, so that other processes count less. Without
batchgeneratorsv2 (pip install batchgeneratorsv2, best in an environment of its own with medvid), medvid's alone.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from common import count, print_table
from torch import Tensor

from medvid.config.options import TransformOptions
from medvid.data.batch import Batch
from medvid.data.transform import apply, initial_size
from medvid.data.transforms.options import FlipOptions
from medvid.data.transforms.scan_options import (
    BrightnessOptions,
    ContrastOptions,
    GammaOptions,
    GaussianBlurOptions,
    GaussianNoiseOptions,
    LowResolutionOptions,
    SpatialOptions,
)
from medvid.plugin.host import make_host

PUBLISHED: tuple[TransformOptions, ...] = (
    SpatialOptions(),
    GaussianNoiseOptions(),
    GaussianBlurOptions(),
    BrightnessOptions(),
    ContrastOptions(),
    LowResolutionOptions(),
    GammaOptions(probability=0.1, inverted=True),
    GammaOptions(),
    FlipOptions(probability=0.5),
)
TURN = 0.52
"""30 degrees, in radians."""

Change = Callable[[Tensor, Tensor, int], object]
"""Changes an image (1, *S) and its label map (*S), by a seed."""


def medvid_side(size: tuple[int, ...]) -> tuple[Change, tuple[int, ...]]:
    """Ours, and the size of the patches that it is given."""
    host = make_host()
    transforms = [host.build(options) for options in PUBLISHED]
    for transform in transforms:
        transform.axes = "volume"

    def change(image: Tensor, label: Tensor, seed: int) -> Batch:
        batch = Batch(image[None], label[None], ("case",), size=size)
        return apply(transforms, batch, torch.Generator().manual_seed(seed))

    return change, initial_size(transforms, size)


def published_side(size: tuple[int, ...]) -> Change:
    """batchgeneratorsv2's, put together as nnU-Net's trainer does."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    turning = {"p_rotation": 0.2, "rotation": (-TURN, TURN), "p_scaling": 0.2, "scaling": (0.7, 1.4)}
    fill = {"border_mode_seg": "constant", "padding_value_seg": -1}
    around, gammas = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    steps = [
        (SpatialTransform(size, 0, False, p_synchronize_scaling_across_axes=1, **turning, **fill), 1.0),
        (GaussianNoiseTransform((0, 0.1), 1, True), 0.1),
        (GaussianBlurTransform((0.5, 1.0), False, False, p_per_channel=0.5, benchmark=True), 0.2),
        (MultiplicativeBrightnessTransform(around, False, 1), 0.15),
        (ContrastTransform(around, True, False, 1), 0.15),
        (SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5), 0.25),
        (GammaTransform(gammas, 1, False, 1, 1), 0.1),
        (GammaTransform(gammas, 0, False, 1, 1), 0.3),
        (MirrorTransform((0, 1, 2)), 1.0),
        (RemoveLabelTansform(-1, 0), 1.0),
    ]
    pipeline = ComposeTransforms([RandomTransform(transform, share) for transform, share in steps])

    def change(image: Tensor, label: Tensor, seed: int) -> object:
        torch.manual_seed(seed)
        return pipeline(image=image.clone(), segmentation=label[None].to(torch.int16))

    return change


def make_patch(size: tuple[int, ...], labels: int) -> tuple[Tensor, Tensor]:
    """Noise around a step per label, and as many balls."""
    places = torch.meshgrid(*(torch.linspace(-1, 1, length) for length in size), indexing="ij")
    label = torch.zeros(size, dtype=torch.uint8)
    for number in range(1, labels + 1):
        middle = torch.rand(3) - 0.5
        distance = sum((place - at) ** 2 for place, at in zip(places, middle, strict=True))
        label[distance < 0.1] = number
    return torch.randn(1, *size) + label, label


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=count, default=128, help="edge of a patch")
    parser.add_argument("--labels", type=count, default=5, help="labels besides the background")
    parser.add_argument("--patches", type=count, default=100, help="patches per side")
    parser.add_argument("--quick", action="store_true", help="a few small patches")
    given = parser.parse_args()
    size, patches = ((24,) * 3, 3) if given.quick else ((given.size,) * 3, given.patches)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, larger = medvid_side(size)
    sides = {"medvid": ours}
    if find_spec("batchgeneratorsv2"):
        sides["batchgeneratorsv2"] = published_side(size)
    image, label = make_patch(larger, given.labels)
    seconds = dict.fromkeys(sides, 0.0)
    for seed in range(-1, patches):  # the first one is not counted
        for name, change in sides.items():
            began = time.process_time()
            change(image, label, seed + 1)
            seconds[name] += (time.process_time() - began) * (seed >= 0)
    print(f"{patches} patches {size}, cut from {larger}, {given.labels} labels, one thread")
    rates = {name: patches / spent for name, spent in seconds.items()}
    ratios = [[name, f"{rate:.2f}", f"{rates['medvid'] / rate:.2f}"] for name, rate in rates.items()]
    print_table(["side", "patches/s", "medvid is faster by"], ratios)


if __name__ == "__main__":
    main()
