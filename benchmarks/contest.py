"""A published network against ours: the same weights and batches, in turns, in one process.

Ours runs through medvid's own training loop, in the default precision and in float32; the published one in float32 and
in the default memory format, in a plain loop with the same optimizer. A share is that of the machine's own rate at a
large matrix product, measured here, in the type that the side multiplies in. Memory is the peak of a process of its own
per side, less what it had in use before the model was made.
"""

import argparse
import math
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from common import count, gemm_peak, peak_memory, print_table, stopwatch, take_turns
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.devices.memory_format import lay_out_channels_last
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import AdamWOptions


class Contest(ABC):
    """What a benchmark says of its own; subclasses are frozen dataclasses of sizes, so that a process can be sent one.

    `reference` names the library of the published network.
    """

    reference: str
    batch_size: int
    lr: float
    weight_decay: float

    @abstractmethod
    def published(self) -> nn.Module:
        """The published network, always with the same weights."""

    @abstractmethod
    def ours(self) -> Model:
        """Our network with the published one's weights."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """The same sequence at each call."""

    def arrange(self, input: Tensor) -> Tensor:
        """A batch's input (B, C, *S) as the published network takes it."""
        return input

    def scores(self, network: nn.Module, input: Tensor) -> Tensor:
        """What the published network gives."""
        scores: Tensor = network(input)
        return scores

    def loss(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        """The loss that its users train it with."""
        return functional.cross_entropy(self.scores(network, input), target)

    def train_options(self, precision: str) -> TrainOptions:
        return TrainOptions.model_validate(
            {
                "steps": 10**6,
                "batch_size": self.batch_size,
                "optimizer": AdamWOptions(lr=self.lr, weight_decay=self.weight_decay),
                "decay_norms_and_biases": True,  # as in a plain loop
                "precision": precision,
                "devices": 1,
                "log_every": 1,
            }
        )


class Side(Protocol):
    """One contestant; `step` and `forward` return their seconds."""

    device: torch.device
    dtype: torch.dtype
    losses: list[float]

    def step(self) -> float: ...

    def forward(self) -> float: ...


class Published:
    """The published network in a plain training loop, in float32 unless another precision is asked for."""

    def __init__(self, contest: Contest, precision: str = "fp32") -> None:
        self.contest = contest
        fabric = make_fabric(contest.train_options(precision))
        self.device, self.autocast = fabric.device, fabric.autocast
        self.dtype = product_type(fabric)
        self.model = contest.published().to(self.device)
        recipe = {"lr": contest.lr, "weight_decay": contest.weight_decay}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), **recipe)
        self.batches = contest.batches()
        self.losses: list[float] = []

    def step(self) -> float:
        batch = next(self.batches).to(self.device)
        arranged = self.contest.arrange(batch.input)
        self.model.train()
        with stopwatch(self.device) as watch:
            with self.autocast():
                loss = self.contest.loss(self.model, arranged, batch.target)
            torch.autograd.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        arranged = self.contest.arrange(next(self.batches).to(self.device).input)
        self.model.eval()
        with stopwatch(self.device) as watch, self.autocast():
            self.contest.scores(self.model, arranged)
        return watch.seconds


def product_type(fabric: Fabric) -> torch.dtype:
    """What matrices are multiplied in."""
    with fabric.autocast():
        one = torch.ones(8, 8, device=fabric.device)
        return (one @ one).dtype


class Medvid:
    """Our network in medvid's training loop."""

    def __init__(self, contest: Contest, precision: str) -> None:
        options = contest.train_options(precision)
        fabric = make_fabric(options)
        fabric.launch()
        model = contest.ours()
        lay_out_channels_last(model)
        self.trainer = Trainer(fabric, model, options, seed=0, spatial_axes=3, build=make_host().build)
        self.device = fabric.device
        self.dtype = product_type(fabric)
        self.batches = contest.batches()
        self.losses: list[float] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002 - the loop's
        self.losses.append(losses["loss"])

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """Nothing is saved."""

    def step(self) -> float:
        batch = next(self.batches).to(self.device)
        with stopwatch(self.device) as watch:
            self.trainer.fit(iter([batch]), self.trainer.progress.step + 1, self, interrupted=lambda: False)
        return watch.seconds

    @torch.no_grad()
    def forward(self) -> float:
        batch = next(self.batches).to(self.device, self.trainer.memory_format)
        self.trainer.model.eval()
        with stopwatch(self.device) as watch, self.trainer.fabric.autocast():
            self.trainer.model(batch.input)
        return watch.seconds


def makers(contest: Contest) -> dict[str, Callable[[], Side]]:
    """What makes the sides, by their names; the first is what the others are compared with."""
    return {
        f"{contest.reference}, fp32": lambda: Published(contest),
        "medvid, fp32": lambda: Medvid(contest, "fp32"),
        "medvid, default": lambda: Medvid(contest, "auto"),
    }


def flops(contest: Contest) -> tuple[int, int]:
    """Floating-point operations in convolutions and matrix products of one forward pass, and of one step."""
    network = contest.published().to("meta")
    arranged = contest.arrange(next(contest.batches()).input.to("meta"))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        scores = contest.scores(network, arranged)
        forward = counter.get_total_flops()
        torch.autograd.backward(scores.sum())
    return forward, counter.get_total_flops()


def memory(contest: Contest, name: str) -> float:
    """Peak memory in GB of two steps, for a process of its own."""
    idle = peak_memory(torch.device("cpu"))
    side = makers(contest)[name]()
    for _ in range(2):
        side.step()
    return (peak_memory(side.device) - (idle if side.device.type == "cpu" else 0)) / 1e9


def peaks_of_memory(contest: Contest) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(memory, (contest, name)) for name in makers(contest)}


def make_parser(description: str | None, steps: int) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=count, default=steps, help="training steps per side")
    parser.add_argument("--quick", action="store_true", help="a small network, 3 steps, no memory")
    return parser


def run(contest: Contest, arguments: argparse.Namespace) -> None:
    """Measure and print, with 3 steps and without memory where `--quick` is given."""
    steps = 3 if arguments.quick else arguments.steps
    print(f"{contest}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    peaks = {} if arguments.quick else peaks_of_memory(contest)
    sides = {name: make() for name, make in makers(contest).items()}
    step_seconds = take_turns({name: side.step for name, side in sides.items()}, rounds=steps - 1)
    forward_seconds = take_turns({name: side.forward for name, side in sides.items()}, rounds=max(2, steps // 4))
    print_speed(sides, step_seconds, forward_seconds, peaks, flops(contest))
    print()
    print_losses(sides)


def print_speed(
    sides: Mapping[str, Side],
    step_seconds: Mapping[str, float],
    forward_seconds: Mapping[str, float],
    peaks: Mapping[str, float],
    work: tuple[int, int],
) -> None:
    rows, reference = [], next(iter(sides))
    for name, side in sides.items():
        peak = gemm_peak(side.dtype, side.device)
        step, forward = step_seconds[name], forward_seconds[name]
        rows.append(
            [
                f"{name} ({str(side.dtype).removeprefix('torch.')})",
                f"{step:.3f}",
                f"{step_seconds[reference] / step:.2f} x",
                f"{work[1] / step / peak:.0%}",
                f"{forward:.3f}",
                f"{forward_seconds[reference] / forward:.2f} x",
                f"{work[0] / forward / peak:.0%}",
                f"{peaks.get(name, math.nan):.2f}",
                f"{peak / 1e9:.0f}",
            ]
        )
    print_table(["", "step s", "faster", "share", "forward s", "faster", "share", "memory GB", "peak GFLOP/s"], rows)


def print_losses(sides: Mapping[str, Side]) -> None:
    curves = [side.losses for side in sides.values()]
    print_table(
        ["loss at step", *sides],
        [[index, *(f"{loss:.5f}" for loss in losses)] for index, losses in enumerate(zip(*curves, strict=True), 1)],
    )
