"""TransUNet at its published size: forward and training step in the default precision against float32, in one run.

    python benchmarks/transunet.py [--batch-size N] [--repeats N] [--quick]

The two sides take turns, each through the same training loop, on one batch that is already in memory. A share is that
of the device's own rate at a large matrix product in the same type, measured here.
"""

import argparse
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from medvid.config.task import SGD, TrainOptions
from medvid.data.sample import Batch
from medvid.models.build import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import describe_device, make_fabric
from medvid.training.loop import Trainer
from medvid_transunet.config import CascadedUpsamplerOptions, TransUNetOptions
from medvid_transunet.decoder import CascadedUpsampler
from medvid_transunet.model import TransUNet

SIZE, LABELS = (224, 224), 9
EDGE = 4096
"""Of the matrices whose product shows what the device can do."""


class StepTimes:
    """Collects the seconds of each training step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002 - as the loop calls it
        self.seconds.append(speed["step_time"])

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""


class Side:
    """TransUNet in one precision.

    Args:
        precision: as in ``train.precision``.
        batch_size: images per step.
    """

    def __init__(self, precision: str, batch_size: int) -> None:
        sgd = SGD(name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4)
        options = TrainOptions(steps=10**6, batch_size=batch_size, optimizer=sgd, precision=precision, log_every=1)
        self.fabric: Fabric = make_fabric(options)
        self.fabric.launch()
        self.trainer = Trainer(self.fabric, build(), options, seed=0, spatial_axes=2)
        batch = Batch(torch.rand(batch_size, 1, *SIZE), torch.randint(LABELS, (batch_size, *SIZE)), ("",) * batch_size)
        self.batch = batch.to(self.fabric.device, self.trainer.memory_format)
        with self.fabric.autocast():
            corner = torch.rand(8, 8, device=self.fabric.device)
            self.matrix = torch.rand(EDGE, EDGE, device=self.fabric.device, dtype=(corner @ corner).dtype)

    def step(self) -> float:
        """Seconds of one training step."""
        times = StepTimes()
        self.trainer.fit(repeat(self.batch), self.trainer.progress.step + 1, times, interrupted=lambda: False)
        return times.seconds[0]

    @torch.no_grad()
    def forward(self) -> float:
        """Seconds of one forward pass in evaluation mode."""
        self.trainer.forward.eval()
        return seconds(lambda: self.trainer.forward(self.batch.input))

    @torch.no_grad()
    def product(self) -> float:
        """Seconds of a large matrix product, in the type of this side's products."""
        with self.fabric.autocast():
            return seconds(lambda: self.matrix @ self.matrix)


def build() -> Model:
    """TransUNet (R50-ViT-B_16) with its own decoder."""
    input_info = InputInfo("image", 1, SIZE)
    target_info = TargetInfo("segmentation", tuple(map(str, range(LABELS))))
    backbone = TransUNet(TransUNetOptions(name="transunet", img_size=SIZE), input_info)
    head = CascadedUpsamplerOptions(name="cascaded_upsampler")
    return Model(backbone, CascadedUpsampler(head, backbone.feature_info, input_info, target_info))


def seconds(call: Callable[[], Tensor]) -> float:
    """Wall time of a call, until its result has left the device."""
    began = time.perf_counter()
    call().flatten()[0].item()
    return time.perf_counter() - began


def measurements(side: Side) -> dict[str, Callable[[], float]]:
    """What is measured of a side."""
    return {"forward": side.forward, "step": side.step, "product": side.product}


def flops(side: Side) -> dict[str, int]:
    """Floating-point operations in the convolutions and matrix products of each measurement; also warms up."""
    counted = {}
    for name, run in measurements(side).items():
        with FlopCounterMode(display=False) as counter:
            run()
        counted[name] = counter.get_total_flops()
    return counted


def measure(sides: dict[str, Side], repeats: int) -> dict[tuple[str, str], float]:
    """Least seconds by precision and measurement; the sides take turns, so that both meet the same disturbances."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for precision, side in sides.items():
            for name, run in measurements(side).items():
                times.setdefault((precision, name), []).append(run())
    return {key: min(values) for key, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=4, help="images per step; published: 24")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 images, measured once")
    arguments = parser.parse_args()
    batch_size, repeats = (2, 1) if arguments.quick else (arguments.batch_size, arguments.repeats)

    sides = {precision: Side(precision, batch_size) for precision in ("fp32", "auto")}
    work = {precision: flops(side) for precision, side in sides.items()}
    times = measure(sides, repeats)

    print(f"TransUNet R50-ViT-B_16, {batch_size} x {SIZE[0]} x {SIZE[1]}, torch {torch.__version__}")
    for precision, side in sides.items():
        rates = {name: work[precision][name] / times[precision, name] for name in work[precision]}
        print(f"  {precision} ({describe_device(side.fabric)}), {rates['product'] / 1e9:.0f} GFLOP/s in products")
        for name in ("forward", "step"):
            print(f"    {name:8} {times[precision, name]:7.2f} s, {rates[name] / rates['product']:4.0%} of that")
    for name in ("forward", "step"):
        print(f"  {name}: fp32 / auto = {times['fp32', name] / times['auto', name]:.2f}")


if __name__ == "__main__":
    main()
