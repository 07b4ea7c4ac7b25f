"""nnU-Net's random changes of patches: medvid's transforms against batchgeneratorsv2's, which nnU-Net uses.

    python benchmarks/augmentation.py [--size N] [--labels N] [--rounds N] [--quick]

Each change of the published list is made in every round, with numbers drawn anew; the sides take turns, in one thread
of one process, as in one loader process. Both are given the same patches: for turning and scaling as they are cut,
larger than they will be, the image in float32 and the label map in int16. "of a patch" is the mean cost times
the published probability; their sum says how many patches a second the list as a whole makes. Seconds are those of the
processor, so that other processes count less. Without batchgeneratorsv2 (pip install batchgeneratorsv2, best in an
environment of its own with medvid), medvid's alone.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import product

import torch
from common import count, print_table
from torch import Tensor

from medvid.config.options import TransformOptions
from medvid.data.batch import Batch
from medvid.data.transform import apply
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

ALWAYS: dict[str, float] = {"probability": 1.0}
PUBLISHED: dict[str, tuple[float, TransformOptions]] = {
    "turn or scale": (1 - 0.8**2, SpatialOptions(rotation_probability=1, scaling_probability=1)),
    "cut the middle": (0.8**2, SpatialOptions(rotation_probability=0, scaling_probability=0)),
    "noise": (0.1, GaussianNoiseOptions(**ALWAYS)),
    "blur": (0.2 * 0.5, GaussianBlurOptions(**ALWAYS, channel_probability=1)),
    "brightness": (0.15, BrightnessOptions(**ALWAYS)),
    "contrast": (0.15, ContrastOptions(**ALWAYS)),
    "low resolution": (0.25 * 0.5, LowResolutionOptions(**ALWAYS, channel_probability=1)),
    "gamma of the negative": (0.1, GammaOptions(**ALWAYS, inverted=True)),
    "gamma": (0.3, GammaOptions(**ALWAYS)),
    "mirror": (1.0, FlipOptions(probability=0.5)),
}
"""What is changed, how often in a patch of one channel, and the change."""
TURN = 0.52
"""30 degrees, in radians."""

Change = Callable[[Tensor, Tensor, int], object]
"""Changes an image (1, *S) and its label map (*S), by a seed."""


def medvid_side(size: tuple[int, ...]) -> tuple[dict[str, Change], tuple[int, ...]]:
    """Ours, and the size of the patches that are turned and scaled."""
    host = make_host()

    def changing(options: TransformOptions) -> Change:
        [transform] = transforms = [host.build(options)]
        transform.axes = "volume"

        def change(image: Tensor, label: Tensor, seed: int) -> Batch:
            batch = Batch(image[None], label[None], ("case",), size=size)
            return apply(transforms, batch, torch.Generator().manual_seed(seed))

        return change

    turned = host.build(SpatialOptions())
    turned.axes = "volume"
    return {name: changing(options) for name, (_, options) in PUBLISHED.items()}, turned.initial_size(size)


def published_side(size: tuple[int, ...]) -> dict[str, Change]:
    """batchgeneratorsv2's, put together as nnU-Net's trainer does."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    def spatial(share: float) -> object:
        turning = {"p_rotation": share, "rotation": (-TURN, TURN), "p_scaling": share, "scaling": (0.7, 1.4)}
        fill = {"border_mode_seg": "constant", "padding_value_seg": -1}
        return SpatialTransform(size, 0, False, p_synchronize_scaling_across_axes=1, **turning, **fill)

    around, gammas, background = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5)), RemoveLabelTansform(-1, 0)
    steps = {
        "turn or scale": [spatial(1), background],
        "cut the middle": [spatial(0), background],
        "noise": [GaussianNoiseTransform((0, 0.1), 1, True)],
        "blur": [GaussianBlurTransform((0.5, 1.0), False, False, p_per_channel=1, benchmark=True)],
        "brightness": [MultiplicativeBrightnessTransform(around, False, 1)],
        "contrast": [ContrastTransform(around, True, False, 1)],
        "low resolution": [SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 1)],
        "gamma of the negative": [GammaTransform(gammas, 1, False, 1, 1)],
        "gamma": [GammaTransform(gammas, 0, False, 1, 1)],
        "mirror": [MirrorTransform((0, 1, 2))],
    }

    def changing(transforms: Sequence[Callable[..., dict[str, Tensor]]]) -> Change:
        def change(image: Tensor, label: Tensor, seed: int) -> object:
            torch.manual_seed(seed)
            found = {"image": image, "segmentation": label[None]}
            for transform in transforms:
                found = transform(**found)
            return found

        return change

    return {name: changing(transforms) for name, transforms in steps.items()}


def make_patch(size: tuple[int, ...], labels: int) -> tuple[Tensor, Tensor]:
    """Noise around a step per label, and as many balls."""
    places = torch.meshgrid(*(torch.linspace(-1, 1, length) for length in size), indexing="ij")
    label = torch.zeros(size, dtype=torch.int16)
    for number in range(1, labels + 1):
        middle = torch.rand(3) - 0.5
        distance = sum((place - at) ** 2 for place, at in zip(places, middle, strict=True))
        label[distance < 0.1] = number
    return torch.randn(1, *size) + label, label


def measure(
    sides: Mapping[str, Mapping[str, Change]], patches: Callable[[str], tuple[Tensor, Tensor]], rounds: int
) -> dict[str, list[float]]:
    """Mean seconds of each change, one of each side; the first round is not counted."""
    seconds = {name: [0.0] * len(sides) for name in PUBLISHED}
    for seed, name in product(range(rounds + 1), PUBLISHED):
        for number, changes in enumerate(sides.values()):
            image, label = (tensor.clone() for tensor in patches(name))  # some change it in place
            began = time.process_time()
            changes[name](image, label, seed)
            seconds[name][number] += (time.process_time() - began) * (seed > 0) / rounds
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=count, default=128, help="edge of a patch")
    parser.add_argument("--labels", type=count, default=5, help="labels besides the background")
    parser.add_argument("--rounds", type=count, default=10, help="times that each change is made per side")
    parser.add_argument("--quick", action="store_true", help="a few small patches")
    given = parser.parse_args()
    size, rounds = ((24,) * 3, 2) if given.quick else ((given.size,) * 3, given.rounds)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, larger = medvid_side(size)
    sides = {"medvid": ours}
    if find_spec("batchgeneratorsv2"):
        sides["batchgeneratorsv2"] = published_side(size)
    cut, uncut = make_patch(size, given.labels), make_patch(larger, given.labels)
    seconds = measure(sides, lambda name: uncut if name in ("turn or scale", "cut the middle") else cut, rounds)
    means = {name: [share * spent for spent in seconds[name]] for name, (share, _) in PUBLISHED.items()}
    rows = [[name, f"{PUBLISHED[name][0]:.3f}", *cells(spent)] for name, spent in seconds.items()]
    whole = [sum(column) for column in zip(*means.values(), strict=True)]
    print(f"patches {size}, turned ones cut from {larger}, {given.labels} labels, one thread")
    ratio = ["medvid is faster by"] * (len(sides) - 1)
    print_table(["", "of a patch", *(f"{side}, ms" for side in sides), *ratio], [*rows, ["a patch", "", *cells(whole)]])
    print(", ".join(f"{side} {1 / spent:.2f} patches/s" for side, spent in zip(sides, whole, strict=True)))


def cells(spent: Sequence[float]) -> list[str]:
    """Milliseconds of the sides, and the ratio of the second to the first."""
    ratios = [f"{theirs / max(spent[0], 1e-9):.2f}" for theirs in spent[1:]]
    return [*(f"{1e3 * value:.2f}" for value in spent), *ratios]


if __name__ == "__main__":
    main()
