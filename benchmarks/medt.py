"""MedT at its published size: all patches as one batch against one position after the other, and precisions.

    python benchmarks/medt.py [--variant medt|logo] [--batch-size N] [--rounds N] [--quick]

Whole training steps run through medvid's own training loop, on one batch that is already in memory; of the branch over
patches alone, a step is forward and backward. All sides are made with the same weights and take turns in one process.
The orders compute the same in the same number of operations, so the ratio between them is what batching saves.
"""

import argparse
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from common import count, print_table, stopwatch, take_turns

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.devices.memory_format import lay_out_channels_last
from medvid.losses.options import DiceCEOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import describe_device, make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import AdamOptions
from medvid_heads.config import PixelHeadOptions
from medvid_medt.config import MedTOptions
from medvid_medt.model import MedT

HOST = make_host()

SIZE, CHANNELS, LABELS = (128, 128), 3, 2
SIDES = {
    "batched, default": ("batched", "auto"),
    "batched, fp32": ("batched", "fp32"),
    "sequential, default": ("sequential", "auto"),
    "sequential, fp32": ("sequential", "fp32"),
}


class Side:
    """MedT with one order of patches in one precision; what it measures is in seconds.

    Args:
        order: as in ``backbone.local_order``.
        precision: as in ``train.precision``.
        batch: what it is fed.
        options: further ones of the backbone.
    """

    def __init__(self, order: str, precision: str, batch: Batch, options: dict[str, Any]) -> None:
        recipe = train_options(precision, len(batch.input))
        self.fabric = make_fabric(recipe)
        self.fabric.launch()
        model = build(options | {"local_order": order})
        lay_out_channels_last(model)
        self.trainer = Trainer(self.fabric, model, recipe, seed=0, spatial_axes=2, build=make_host().build)
        self.batch = batch.to(self.fabric.device, self.trainer.memory_format)

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        """Nothing is logged."""

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""

    def step(self) -> float:
        with stopwatch(self.fabric.device) as watch:
            last = self.trainer.progress.step + 1
            self.trainer.fit(repeat(self.batch), last, self, interrupted=lambda: False)
        return watch.seconds

    def local_step(self) -> float:
        backbone = self.trainer.model.backbone
        assert isinstance(backbone, MedT)
        assert backbone.local_branch is not None
        backbone.train()
        with stopwatch(self.fabric.device) as watch, self.fabric.autocast():
            backbone.local_branch(self.batch.input).sum().backward()
        backbone.zero_grad()
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        self.trainer.model.eval()
        with stopwatch(self.fabric.device) as watch, self.trainer.fabric.autocast():
            self.trainer.model(self.batch.input)
        return watch.seconds


def train_options(precision: str, batch_size: int) -> TrainOptions:
    adam = AdamOptions(lr=1e-3, weight_decay=1e-5)
    return TrainOptions.model_validate(
        {"steps": 10**6, "batch_size": batch_size, "optimizer": adam, "precision": precision, "devices": 1}
    )


def build(options: dict[str, Any]) -> Model:
    """MedT with its own output layer, always with the same weights."""
    torch.manual_seed(0)
    input_info = InputInfo("image", CHANNELS, SIZE)
    target_info = TargetInfo("voxel", "class", tuple(map(str, range(LABELS))))
    backbone = MedT(MedTOptions.model_validate({"name": "medt", "img_size": SIZE} | options), input_info)
    head = PixelHeadOptions.model_validate({"name": "pixel", "loss": DiceCEOptions(lambda_dice=0)})
    return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=["medt", "logo"], default="medt")
    parser.add_argument("--batch-size", type=count, default=4, help="images per step; published: 4")
    parser.add_argument("--rounds", type=count, default=10, help="measurements of each, of which the median is told")
    parser.add_argument("--quick", action="store_true", help="a small network, 1 image, measured twice")
    arguments = parser.parse_args()
    options: dict[str, Any] = {"variant": arguments.variant}
    batch_size, rounds = arguments.batch_size, arguments.rounds
    if arguments.quick:
        options |= {"layers": (1, 1, 1, 1), "s": 0.0625, "groups": 4}
        batch_size, rounds = 1, 2

    batch = Batch(
        torch.rand(batch_size, CHANNELS, *SIZE), torch.randint(LABELS, (batch_size, *SIZE)), ("",) * batch_size
    )
    sides = {name: Side(order, precision, batch, options) for name, (order, precision) in SIDES.items()}
    print(f"{options}, {batch_size} x {SIZE[0]} x {SIZE[1]}, torch {torch.__version__}")
    for name, side in sides.items():
        print(f"  {name}: {describe_device(side.fabric)}")
    steps = take_turns({name: side.step for name, side in sides.items()}, rounds)
    local_steps = take_turns({name: side.local_step for name, side in sides.items()}, rounds)
    forwards = take_turns({name: side.forward for name, side in sides.items()}, rounds)
    print_results(steps, local_steps, forwards)


def print_results(steps: dict[str, float], local_steps: dict[str, float], forwards: dict[str, float]) -> None:
    rows = []
    for name, step in steps.items():
        other, local_step = name.replace("batched", "sequential"), local_steps[name]
        faster = f"{steps[other] / step:.2f} x", f"{local_steps[other] / local_step:.2f} x"
        rows.append([name, f"{step:.3f}", faster[0], f"{local_step:.3f}", faster[1], f"{forwards[name]:.3f}"])
    print_table(["", "step s", "faster", "step of patches s", "faster", "forward s"], rows)
    for kind, seconds in {"step": steps, "forward": forwards}.items():
        print(f"{kind}: fp32 / default = {seconds['batched, fp32'] / seconds['batched, default']:.2f}")


if __name__ == "__main__":
    main()
