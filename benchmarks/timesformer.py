"""TimeSformer at its published size against transformers' TimesformerForVideoClassification as its users run it.

    python benchmarks/timesformer.py [--steps N] [--batch-size N] [--quick]

Ours runs through medvid's own training loop, in the default precision and in float32; transformers' in float32 with
its default attention, in a plain loop with the optimizer of its Trainer. All start from the same weights
(transformers', imported), see the same clips, and take turns in one process. A share is that of the machine's own rate
at a large matrix product, measured here, in the type that the side multiplies in. Memory is the peak of a process of
its own per side, less what it had in use before the model was made.
"""

import argparse
import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from common import gemm_peak, peak_memory, print_table, stopwatch, take_turns
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import TimesformerConfig, TimesformerForVideoClassification

from medvid.config.task import AdamW, TrainOptions
from medvid.data.sample import Batch
from medvid.models.build import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.model import TimeSformer
from medvid_timesformer.weights import translate

LR = 5e-5


@dataclass(frozen=True)
class Scale:
    """Size of the network and of its batches."""

    batch_size: int = 1
    num_frames: int = 8
    image_size: int = 224
    patch_size: int = 16
    labels: int = 400
    hidden_size: int = 768
    depth: int = 12
    num_heads: int = 12


QUICK = Scale(2, num_frames=4, image_size=32, patch_size=8, labels=4, hidden_size=48, depth=2, num_heads=4)


class Side(Protocol):
    """One contestant; `step` and `forward` return their seconds."""

    device: torch.device
    dtype: torch.dtype
    losses: list[float]

    def step(self) -> float: ...

    def forward(self) -> float: ...


class Transformers:
    """transformers' network in a plain training loop."""

    dtype = torch.float32

    def __init__(self, scale: Scale) -> None:
        self.device = make_fabric(train_options("fp32", scale)).device
        self.model = transformers_timesformer(scale).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=0.0)
        self.clips = clips(scale)
        self.losses: list[float] = []

    def step(self) -> float:
        batch = next(self.clips).to(self.device)
        self.model.train()
        with stopwatch(self.device) as watch:
            loss = self.model(batch.input.transpose(1, 2), labels=batch.target).loss
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        batch = next(self.clips).to(self.device)
        self.model.eval()
        with stopwatch(self.device) as watch:
            self.model(batch.input.transpose(1, 2))
        return watch.seconds


class Medvid:
    """Our network in medvid's training loop."""

    def __init__(self, scale: Scale, precision: str) -> None:
        options = train_options(precision, scale)
        fabric = make_fabric(options)
        fabric.launch()
        self.trainer = Trainer(fabric, medvid_timesformer(scale), options, seed=0, spatial_axes=3)
        self.device = fabric.device
        with fabric.autocast():
            one = torch.ones(8, 8, device=self.device)
            self.dtype = (one @ one).dtype
        self.clips = clips(scale)
        self.losses: list[float] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002 - the loop's
        self.losses.append(losses["loss"])

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""

    def step(self) -> float:
        batch = next(self.clips).to(self.device)
        with stopwatch(self.device) as watch:
            self.trainer.fit(iter([batch]), self.trainer.progress.step + 1, self, interrupted=lambda: False)
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        batch = next(self.clips).to(self.device, self.trainer.memory_format)
        self.trainer.forward.eval()
        with stopwatch(self.device) as watch:
            self.trainer.forward(batch.input)
        return watch.seconds


SIDES: dict[str, Callable[[Scale], Side]] = {
    "transformers, fp32": Transformers,
    "medvid, fp32": lambda scale: Medvid(scale, "fp32"),
    "medvid, default": lambda scale: Medvid(scale, "auto"),
}
REFERENCE = "transformers, fp32"


def train_options(precision: str, scale: Scale) -> TrainOptions:
    adamw = AdamW(name="adamw", lr=LR, weight_decay=0.0)
    return TrainOptions.model_validate(
        {
            "steps": 10**6,
            "batch_size": scale.batch_size,
            "optimizer": adamw,
            "precision": precision,
            "devices": 1,
            "log_every": 1,
        }
    )


def transformers_timesformer(scale: Scale) -> nn.Module:
    """transformers' network, always with the same weights."""
    torch.manual_seed(0)
    config = TimesformerConfig(
        image_size=scale.image_size,
        patch_size=scale.patch_size,
        num_frames=scale.num_frames,
        hidden_size=scale.hidden_size,
        intermediate_size=4 * scale.hidden_size,
        num_hidden_layers=scale.depth,
        num_attention_heads=scale.num_heads,
        num_labels=scale.labels,
    )
    network: nn.Module = TimesformerForVideoClassification(config)
    return network


def medvid_timesformer(scale: Scale) -> Model:
    """Our network with transformers' weights, and without drop path, which transformers does not have."""
    sizes: dict[str, Any] = {
        "img_size": scale.image_size,
        "patch_size": scale.patch_size,
        "num_frames": scale.num_frames,
        "embed_dim": scale.hidden_size,
        "depth": scale.depth,
        "num_heads": scale.num_heads,
    }
    input_info = InputInfo("video", 3, (scale.num_frames, scale.image_size, scale.image_size))
    target_info = TargetInfo("classification", tuple(map(str, range(scale.labels))))
    backbone = TimeSformer(TimeSformerOptions(name="timesformer", drop_path_rate=0.0, **sizes), input_info)
    head = LinearClassifierOptions(name="classification")
    model = Model(backbone, LinearClassifier(head, backbone.feature_info, input_info, target_info))
    model.load_state_dict(translate(transformers_timesformer(scale).state_dict(), "huggingface", model).tensors)
    return model


def clips(scale: Scale) -> Iterator[Batch]:
    """Smooth noise, labelled by its brightness; the same sequence for every caller."""
    generator = torch.Generator().manual_seed(0)
    size = (scale.num_frames, scale.image_size, scale.image_size)
    while True:
        target = torch.randint(scale.labels, (scale.batch_size,), generator=generator)
        coarse = torch.randn(scale.batch_size, 3, 2, 4, 4, generator=generator)
        brightness = target.reshape(-1, 1, 1, 1, 1) / scale.labels * 4 - 2
        yield Batch(functional.interpolate(coarse, size, mode="trilinear") + brightness, target, ("",))


def flops(scale: Scale) -> tuple[int, int]:
    """Floating-point operations in convolutions and matrix products of one forward pass, and of one step."""
    with torch.device("meta"):
        network = transformers_timesformer(scale)
        batch = torch.empty(scale.batch_size, scale.num_frames, 3, scale.image_size, scale.image_size)
        with FlopCounterMode(display=False) as counter:
            logits = network(batch).logits
            forward = counter.get_total_flops()
            logits.sum().backward()
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
    parser.add_argument("--steps", type=int, default=10, help="training steps per side")
    parser.add_argument("--batch-size", type=int, default=1, help="clips per step")
    parser.add_argument("--quick", action="store_true", help="a small network, 3 steps, no memory")
    arguments = parser.parse_args()
    full = replace(Scale(), batch_size=arguments.batch_size)
    scale, steps = (QUICK, 3) if arguments.quick else (full, arguments.steps)

    print(f"TimeSformer, {scale}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    peaks = {} if arguments.quick else peaks_of_memory(scale)
    sides = {name: make(scale) for name, make in SIDES.items()}
    step_seconds = take_turns({name: side.step for name, side in sides.items()}, rounds=steps - 1)
    forward_seconds = take_turns({name: side.forward for name, side in sides.items()}, rounds=max(2, steps // 2))
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
