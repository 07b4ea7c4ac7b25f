"""UNETR at its published size against monai.networks.nets.UNETR as its users run it.

    python benchmarks/unetr.py [--steps N] [--quick]

Ours runs through medvid's own training loop, in the default precision and in float32; MONAI's in float32 and in the
default memory format, with its DiceCELoss. All start from the same weights (MONAI's, imported), see the same patches,
and take turns in one process. A share is that of the machine's own rate at a large matrix product, measured here, in
the type that the side multiplies in. Memory is the peak of a process of its own per side, less what it had in use
before the model was made.
"""

import argparse
import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from common import gemm_peak, peak_memory, print_table, stopwatch, take_turns
from monai.losses import DiceCELoss
from monai.networks import nets
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from medvid.config.task import AdamW, TrainOptions
from medvid.data.sample import Batch
from medvid.models.build import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid_unetr.config import UnetrDecoderOptions, UNETROptions
from medvid_unetr.decoder import UnetrDecoder
from medvid_unetr.model import UNETR
from medvid_unetr.weights import translate

LR, WEIGHT_DECAY = 1e-4, 1e-5


@dataclass(frozen=True)
class Scale:
    """Size of the network and of its patches."""

    size: int = 96
    labels: int = 14
    feature_size: int = 16
    hidden_size: int = 768
    mlp_dim: int = 3072
    num_heads: int = 12


QUICK = Scale(size=32, labels=4, feature_size=4, hidden_size=48, mlp_dim=96, num_heads=4)


class Side(Protocol):
    """One contestant; `step` and `forward` return their seconds."""

    device: torch.device
    dtype: torch.dtype
    losses: list[float]

    def step(self) -> float: ...

    def forward(self) -> float: ...


class Monai:
    """MONAI's network in a plain training loop."""

    dtype = torch.float32

    def __init__(self, scale: Scale) -> None:
        self.device = make_fabric(train_options("fp32")).device
        self.model = monai_unetr(scale).to(self.device)
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0.0, smooth_dr=1e-6)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        self.patches = patches(scale)
        self.losses: list[float] = []

    def step(self) -> float:
        batch = next(self.patches).to(self.device)
        self.model.train()
        with stopwatch(self.device) as watch:
            loss = self.loss(self.model(batch.input), batch.target.unsqueeze(1))
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        batch = next(self.patches).to(self.device)
        self.model.eval()
        with stopwatch(self.device) as watch:
            self.model(batch.input)
        return watch.seconds


class Medvid:
    """Our network in medvid's training loop."""

    def __init__(self, scale: Scale, precision: str) -> None:
        options = train_options(precision)
        fabric = make_fabric(options)
        fabric.launch()
        self.trainer = Trainer(fabric, medvid_unetr(scale), options, seed=0, spatial_axes=3)
        self.device = fabric.device
        with fabric.autocast():
            one = torch.ones(8, 8, device=self.device)
            self.dtype = (one @ one).dtype
        self.patches = patches(scale)
        self.losses: list[float] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002 - the loop's
        self.losses.append(losses["loss"])

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""

    def step(self) -> float:
        batch = next(self.patches).to(self.device)
        with stopwatch(self.device) as watch:
            self.trainer.fit(iter([batch]), self.trainer.progress.step + 1, self, interrupted=lambda: False)
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        batch = next(self.patches).to(self.device, self.trainer.memory_format)
        self.trainer.forward.eval()
        with stopwatch(self.device) as watch:
            self.trainer.forward(batch.input)
        return watch.seconds


SIDES: dict[str, Callable[[Scale], Side]] = {
    "MONAI, fp32": Monai,
    "medvid, fp32": lambda scale: Medvid(scale, "fp32"),
    "medvid, default": lambda scale: Medvid(scale, "auto"),
}
REFERENCE = "MONAI, fp32"


def train_options(precision: str) -> TrainOptions:
    adamw = AdamW(name="adamw", lr=LR, weight_decay=WEIGHT_DECAY)
    return TrainOptions.model_validate(
        {
            "steps": 10**6,
            "batch_size": 1,
            "optimizer": adamw,
            "decay_norms_and_biases": True,  # as in MONAI's loop
            "precision": precision,
            "devices": 1,
            "log_every": 1,
        }
    )


def monai_unetr(scale: Scale) -> nn.Module:
    """MONAI's network, always with the same weights."""
    torch.manual_seed(0)
    network: nn.Module = nets.UNETR(
        in_channels=1,
        out_channels=scale.labels,
        img_size=(scale.size,) * 3,
        feature_size=scale.feature_size,
        hidden_size=scale.hidden_size,
        mlp_dim=scale.mlp_dim,
        num_heads=scale.num_heads,
        proj_type="perceptron",
    )
    return network


def medvid_unetr(scale: Scale) -> Model:
    """Our network with MONAI's weights."""
    size = (scale.size,) * 3
    input_info = InputInfo("volume", 1, size)
    target_info = TargetInfo("segmentation", tuple(map(str, range(scale.labels))))
    widths = {"hidden_size": scale.hidden_size, "mlp_dim": scale.mlp_dim, "num_heads": scale.num_heads}
    backbone = UNETR(UNETROptions(name="unetr", img_size=size, **widths), input_info)
    options = UnetrDecoderOptions(name="unetr_decoder", feature_size=scale.feature_size)
    model = Model(backbone, UnetrDecoder(options, backbone.feature_info, input_info, target_info))
    model.load_state_dict(translate(monai_unetr(scale).state_dict(), "monai", model).tensors)
    return model


def patches(scale: Scale) -> Iterator[Batch]:
    """Smooth noise, labelled by its brightness; the same sequence for every caller."""
    generator = torch.Generator().manual_seed(0)
    while True:
        coarse = torch.rand(1, 1, 8, 8, 8, generator=generator)
        smooth = functional.interpolate(coarse, [scale.size] * 3, mode="trilinear")
        noise = torch.randn(smooth.shape, generator=generator)
        yield Batch(smooth + 0.05 * noise, (smooth[:, 0] * scale.labels).long(), ("",))


def flops(scale: Scale) -> tuple[int, int]:
    """Floating-point operations in convolutions and matrix products of one forward pass, and of one step."""
    with torch.device("meta"):
        network, volume = monai_unetr(scale), torch.empty(1, 1, *[scale.size] * 3)
        with FlopCounterMode(display=False) as counter:
            output = network(volume)
            forward = counter.get_total_flops()
            output.sum().backward()
    return forward, counter.get_total_flops()


def memory(name: str, scale: Scale) -> float:
    """Peak memory in GB of two steps, for a process of its own."""
    idle = peak_memory(torch.device("cpu"))
    side = SIDES[name](scale)
    device = side.device
    for _ in range(2):
        side.step()
    return (peak_memory(device) - (idle if device.type == "cpu" else 0)) / 1e9


def peaks_of_memory(scale: Scale) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(memory, (name, scale)) for name in SIDES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="training steps per side")
    parser.add_argument("--quick", action="store_true", help="a small network, 3 steps, no memory")
    arguments = parser.parse_args()
    scale, steps = (QUICK, 3) if arguments.quick else (Scale(), arguments.steps)

    print(f"UNETR, {scale}, batch 1, torch {torch.__version__}, {torch.get_num_threads()} threads")
    peaks = {} if arguments.quick else peaks_of_memory(scale)
    sides = {name: make(scale) for name, make in SIDES.items()}
    step_seconds = take_turns({name: side.step for name, side in sides.items()}, rounds=steps - 1)
    forward_seconds = take_turns({name: side.forward for name, side in sides.items()}, rounds=max(2, steps // 4))
    print_results(sides, step_seconds, forward_seconds, peaks, flops(scale))


def print_results(
    sides: dict[str, Side],
    step_seconds: dict[str, float],
    forward_seconds: dict[str, float],
    peaks: dict[str, float],
    work: tuple[int, int],
) -> None:
    rows = []
    for name, side in sides.items():
        peak = gemm_peak(side.dtype, side.device)
        step, forward = step_seconds[name], forward_seconds[name]
        rows.append(
            [
                f"{name} ({str(side.dtype).removeprefix('torch.')})",
                f"{step:.3f}",
                f"{step_seconds[REFERENCE] / step:.2f} x",
                f"{work[1] / step / peak:.0%}",
                f"{forward:.3f}",
                f"{forward_seconds[REFERENCE] / forward:.2f} x",
                f"{work[0] / forward / peak:.0%}",
                f"{peaks.get(name, math.nan):.2f}",
                f"{peak / 1e9:.0f}",
            ]
        )
    columns = ["", "step s", "faster", "share", "forward s", "faster", "share", "memory GB", "peak GFLOP/s"]
    print_table(columns, rows)
    print()
    curves = [side.losses for side in sides.values()]
    print_table(
        ["loss at step", *sides],
        [[index, *(f"{loss:.5f}" for loss in losses)] for index, losses in enumerate(zip(*curves, strict=True), 1)],
    )


if __name__ == "__main__":
    main()
