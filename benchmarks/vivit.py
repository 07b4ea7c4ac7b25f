"""ViViT-B/16x2 at its published size against transformers' VivitForVideoClassification as its users run it.

    python benchmarks/vivit.py [--batch-size N] [--steps N] [--quick]

Ours runs through medvid's own training loop, in the default precision and in float32; transformers' in float32, with
the attention that it chooses itself and its own loss. All start from the same weights (transformers', imported), see
the same clips, and take turns in one process. A share is that of the machine's own rate at a large matrix product,
measured here, in the type that the side multiplies in. Memory is the peak of a process of its own per side, less what
it had in use before the model was made.
"""

import argparse
import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from common import gemm_peak, peak_memory, print_table, stopwatch, take_turns
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import VivitConfig, VivitForVideoClassification

from medvid.config.task import AdamW, TrainOptions
from medvid.data.sample import Batch
from medvid.models.build import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_vivit.config import ViViTOptions
from medvid_vivit.model import ViViT
from medvid_vivit.weights import translate

LR, WEIGHT_DECAY = 1e-4, 1e-5


@dataclass(frozen=True)
class Scale:
    """Size of the network and of its clips."""

    batch_size: int
    frames: int = 32
    size: int = 224
    labels: int = 400
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072


QUICK = Scale(batch_size=2, frames=4, size=32, labels=5, hidden_size=48, num_layers=2, num_heads=4, mlp_dim=96)


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
        self.model = transformers_vivit(scale).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        self.clips = clips(scale)
        self.losses: list[float] = []

    def step(self) -> float:
        batch = next(self.clips).to(self.device)
        frames = batch.input.transpose(1, 2).contiguous()  # B, T, C, H, W
        self.model.train()
        with stopwatch(self.device) as watch:
            loss = self.model(pixel_values=frames, labels=batch.target).loss
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        frames = next(self.clips).to(self.device).input.transpose(1, 2).contiguous()
        self.model.eval()
        with stopwatch(self.device) as watch:
            self.model(pixel_values=frames)
        return watch.seconds


class Medvid:
    """Our network in medvid's training loop."""

    def __init__(self, scale: Scale, precision: str) -> None:
        options = train_options(precision, scale)
        fabric = make_fabric(options)
        fabric.launch()
        self.trainer = Trainer(fabric, medvid_vivit(scale), options, seed=0, spatial_axes=3)
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
    adamw = AdamW(name="adamw", lr=LR, weight_decay=WEIGHT_DECAY)
    return TrainOptions.model_validate(
        {
            "steps": 10**6,
            "batch_size": scale.batch_size,
            "optimizer": adamw,
            "decay_norms_and_biases": True,  # as in a plain loop
            "precision": precision,
            "devices": 1,
            "log_every": 1,
        }
    )


def transformers_vivit(scale: Scale) -> nn.Module:
    """transformers' network, always with the same weights; its positions would start at zero."""
    torch.manual_seed(0)
    config = VivitConfig(
        image_size=scale.size,
        num_frames=scale.frames,
        hidden_size=scale.hidden_size,
        num_hidden_layers=scale.num_layers,
        num_attention_heads=scale.num_heads,
        intermediate_size=scale.mlp_dim,
        num_labels=scale.labels,
    )
    network: nn.Module = VivitForVideoClassification(config)
    nn.init.trunc_normal_(network.get_parameter("vivit.embeddings.position_embeddings"), std=0.02)
    return network


def medvid_vivit(scale: Scale) -> Model:
    """Our network with transformers' weights; both have the published tubelets."""
    sizes: dict[str, Any] = {
        "num_frames": scale.frames,
        "image_size": (scale.size, scale.size),
        "hidden_size": scale.hidden_size,
        "num_layers": scale.num_layers,
        "num_heads": scale.num_heads,
        "mlp_dim": scale.mlp_dim,
    }
    options = ViViTOptions(name="vivit", **sizes)
    input_info = InputInfo("video", 3, options.input_size)
    target_info = TargetInfo("classification", tuple(map(str, range(scale.labels))))
    backbone = ViViT(options, input_info)
    head = LinearClassifierOptions(name="classification")
    model = Model(backbone, LinearClassifier(head, backbone.feature_info, input_info, target_info))
    model.load_state_dict(translate(transformers_vivit(scale).state_dict(), "huggingface", model).tensors)
    return model


def clips(scale: Scale) -> Iterator[Batch]:
    """Smooth noise, labelled by its brightness; the same sequence for every caller."""
    generator = torch.Generator().manual_seed(0)
    while True:
        target = torch.randint(scale.labels, (scale.batch_size,), generator=generator)
        coarse = torch.rand(scale.batch_size, 3, 4, 8, 8, generator=generator)
        smooth = functional.interpolate(coarse, [scale.frames, scale.size, scale.size], mode="trilinear")
        brightness = 2 * target / scale.labels - 1
        yield Batch(smooth + brightness.reshape(-1, 1, 1, 1, 1), target, ("",) * scale.batch_size)


def flops(scale: Scale) -> tuple[int, int]:
    """Floating-point operations in matrix products and attention of one forward pass, and of one step."""
    with torch.device("meta"):
        model, batch = medvid_vivit(scale), torch.empty(scale.batch_size, 3, scale.frames, scale.size, scale.size)
        with FlopCounterMode(display=False) as counter:
            output = model(batch)
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
    parser.add_argument("--batch-size", type=int, default=1, help="clips per step")
    parser.add_argument("--steps", type=int, default=10, help="training steps per side")
    parser.add_argument("--quick", action="store_true", help="a small network, 3 steps, no memory")
    arguments = parser.parse_args()
    scale, steps = (QUICK, 3) if arguments.quick else (Scale(arguments.batch_size), arguments.steps)

    print(f"ViViT, {scale}, torch {torch.__version__}, {torch.get_num_threads()} threads")
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
