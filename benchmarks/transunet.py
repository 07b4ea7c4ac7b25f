"""TransUNet at its published size: the default precision against float32.

    python benchmarks/transunet.py [--batch-size N] [--rounds N] [--quick]

Both sides run through medvid's own training loop, on one batch that is already in memory, start from the same weights
and take turns in one process. A share is that of the machine's own rate at a large matrix product, measured here, in
the type that the side multiplies in.
"""

import argparse
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from common import count, gemm_peak, print_table, stopwatch, take_turns
from torch.utils.flop_counter import FlopCounterMode

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.devices.memory_format import lay_out_channels_last
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import SGDOptions
from medvid_transunet.config import CascadedUpsamplerOptions, TransUNetOptions
from medvid_transunet.model import TransUNet

HOST = make_host()

LABELS = 9
FULL: dict[str, Any] = {"img_size": (224, 224)}
QUICK: dict[str, Any] = {
    "img_size": (64, 64),
    "resnet": {"num_layers": (1, 1, 1), "width_factor": 0.5},
    "hidden_size": 48,
    "mlp_dim": 96,
    "num_heads": 4,
    "num_layers": 2,
}
SGD = SGDOptions(lr=0.01, momentum=0.9, weight_decay=1e-4)
SIDES = {"fp32": "fp32", "default": "auto"}


class Side:
    """TransUNet in one precision; what it measures is in seconds.

    Args:
        precision: as in ``train.precision``.
        batch: what it is fed.
        options: of the backbone.
    """

    def __init__(self, precision: str, batch: Batch, options: dict[str, Any]) -> None:
        recipe = TrainOptions.model_validate(
            {"steps": 10**6, "batch_size": len(batch.input), "optimizer": SGD, "precision": precision, "devices": 1}
        )
        fabric = make_fabric(recipe)
        fabric.launch()
        model = build(options)
        lay_out_channels_last(model)
        self.trainer = Trainer(fabric, model, recipe, seed=0, spatial_axes=2, build=make_host().build)
        self.device = fabric.device
        self.batch = batch.to(self.device, self.trainer.memory_format)
        with fabric.autocast():
            one = torch.ones(8, 8, device=self.device)
            self.dtype = (one @ one).dtype

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        """Nothing is logged."""

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""

    def step(self) -> float:
        with stopwatch(self.device) as watch:
            last = self.trainer.progress.step + 1
            self.trainer.fit(repeat(self.batch), last, self, interrupted=lambda: False)
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        self.trainer.model.eval()
        with stopwatch(self.device) as watch, self.trainer.fabric.autocast():
            self.trainer.model(self.batch.input)
        return watch.seconds


def build(options: dict[str, Any]) -> Model:
    """TransUNet with its own decoder, always with the same weights."""
    torch.manual_seed(0)
    checked = TransUNetOptions.model_validate({"name": "transunet"} | options)
    input_info = InputInfo("image", 1, checked.img_size)
    target_info = TargetInfo("voxel", "class", tuple(map(str, range(LABELS))))
    backbone = TransUNet(checked, input_info)
    head = CascadedUpsamplerOptions(name="cascaded_upsampler")
    return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))


def flops(options: dict[str, Any], batch_size: int) -> tuple[int, int]:
    """Floating-point operations in convolutions and matrix products of one forward pass, and of one step."""
    with torch.device("meta"):
        model, images = build(options), torch.empty(batch_size, 1, *options["img_size"])
        with FlopCounterMode(display=False) as counter:
            output = model(images)
            forward = counter.get_total_flops()
            output.sum().backward()
    return forward, counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=count, default=8, help="images per step; published: 24")
    parser.add_argument("--rounds", type=count, default=5, help="measurements of each, of which the median is told")
    parser.add_argument("--quick", action="store_true", help="a small network, 2 images, measured twice")
    arguments = parser.parse_args()
    options, batch_size, rounds = FULL, arguments.batch_size, arguments.rounds
    if arguments.quick:
        options, batch_size, rounds = QUICK, 2, 2

    size = options["img_size"]
    batch = Batch(torch.rand(batch_size, 1, *size), torch.randint(LABELS, (batch_size, *size)), ("",) * batch_size)
    sides = {name: Side(precision, batch, options) for name, precision in SIDES.items()}
    print(f"{options}, batch {batch_size}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    steps = take_turns({name: side.step for name, side in sides.items()}, rounds)
    forwards = take_turns({name: side.forward for name, side in sides.items()}, rounds)
    print_results(sides, steps, forwards, flops(options, batch_size))


def print_results(
    sides: dict[str, Side], steps: dict[str, float], forwards: dict[str, float], work: tuple[int, int]
) -> None:
    rows = []
    for name, side in sides.items():
        peak, step, forward = gemm_peak(side.dtype, side.device), steps[name], forwards[name]
        rows.append(
            [
                f"{name} ({str(side.dtype).removeprefix('torch.')})",
                f"{step:.3f}",
                f"{steps['fp32'] / step:.2f} x",
                f"{work[1] / step / peak:.0%}",
                f"{forward:.3f}",
                f"{forwards['fp32'] / forward:.2f} x",
                f"{work[0] / forward / peak:.0%}",
                f"{peak / 1e9:.0f}",
            ]
        )
    print_table(["", "step s", "faster", "share", "forward s", "faster", "share", "peak GFLOP/s"], rows)


if __name__ == "__main__":
    main()
