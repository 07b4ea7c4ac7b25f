"""MViT-B 16x4 against pytorchvideo's and MViTv2-S against torchvision's, at published size, as their users run them.

    python benchmarks/mvit.py [--model NAME] [--batch-size N] [--steps N] [--quick]

Ours run through medvid's own training loop, in the default precision and in float32; theirs in float32 and in the
default memory format, in a plain loop. Both start from the same weights (theirs, imported), see the same clips, and
take turns in one process; nothing is dropped, so that losses can be compared. A share is that of the machine's own
rate at a large matrix product, measured here, in the type that the side multiplies in. Memory is the peak of a process
of its own per side, less what it had in use before the model was made.
"""

import argparse
import math
import multiprocessing
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from common import gemm_peak, peak_memory, print_table, stopwatch, take_turns
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video import mvit as torchvision_video

from medvid.config.task import AdamW, TrainOptions
from medvid.data.sample import Batch
from medvid.models.build import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_mvit.config import MViTOptions
from medvid_mvit.model import MViT
from medvid_mvit.weights import translate

LR, WEIGHT_DECAY = 1e-4, 0.05


@dataclass(frozen=True)
class Scale:
    """A pair of networks and the size of their clips.

    Args:
        source: whose network ours is compared with.
        options: of ours; the published ones are those of a variant.
        batch_size: clips per step.
        frames: length of a clip.
        size: height and width.
        labels: number of classes.
    """

    source: str
    options: dict[str, Any] = field(hash=False)
    batch_size: int = 1
    frames: int = 16
    size: int = 224
    labels: int = 400


SCALES = {
    "mvit_b_16x4": Scale("pytorchvideo", {"variant": "mvit_b_16x4", "pool_norm_eps": 1e-5}),
    "mvitv2_s": Scale("torchvision", {"variant": "mvitv2_s"}),
}
FEW_BLOCKS: dict[str, Any] = {"depth": 3, "embed_dim": 16, "dim_mul": ((1, 2.0),), "head_mul": ((1, 2.0),)}
QUICK_OPTIONS: dict[str, dict[str, Any]] = {
    "mvit_b_16x4": FEW_BLOCKS | {"pool_q_stride": ((1, 1, 2, 2),)},
    "mvitv2_s": FEW_BLOCKS | {"pool_q_stride": ((0, 1, 1, 1), (1, 1, 2, 2), (2, 1, 1, 1))},
}


class Side(Protocol):
    """One contestant; `step` and `forward` return their seconds."""

    device: torch.device
    dtype: torch.dtype
    losses: list[float]

    def step(self) -> float: ...

    def forward(self) -> float: ...


class Published:
    """The library's network in a plain training loop."""

    dtype = torch.float32

    def __init__(self, scale: Scale) -> None:
        self.device = make_fabric(train_options("fp32", scale)).device
        self.model = published_mvit(scale).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        self.clips = clips(scale)
        self.losses: list[float] = []

    def step(self) -> float:
        batch = next(self.clips).to(self.device)
        self.model.train()
        with stopwatch(self.device) as watch:
            loss = functional.cross_entropy(self.model(batch.input), batch.target)
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
            self.model(batch.input)
        return watch.seconds


class Medvid:
    """Our network in medvid's training loop."""

    def __init__(self, scale: Scale, precision: str) -> None:
        options = train_options(precision, scale)
        fabric = make_fabric(options)
        fabric.launch()
        self.trainer = Trainer(fabric, medvid_mvit(scale), options, seed=0, spatial_axes=3)
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


def make_side(name: str, scale: Scale) -> Side:
    return Published(scale) if name == names(scale)[0] else Medvid(scale, "fp32" if "fp32" in name else "auto")


def names(scale: Scale) -> tuple[str, str, str]:
    """The sides; the first one is what the others are compared with."""
    return f"{scale.source}, fp32", "medvid, fp32", "medvid, default"


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


def mvit_options(scale: Scale) -> MViTOptions:
    return MViTOptions.model_validate({"name": "mvit", "droppath_rate": 0.0} | scale.options)


def published_mvit(scale: Scale) -> nn.Module:
    """The library's network, always with the same weights."""
    torch.manual_seed(0)
    return pytorchvideo_mvit(scale) if scale.source == "pytorchvideo" else torchvision_mvit(scale)


def pytorchvideo_mvit(scale: Scale) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what pytorchvideo imports
        from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers
    options = mvit_options(scale)
    network: nn.Module = create_multiscale_vision_transformers(
        spatial_size=scale.size,
        temporal_size=scale.frames,
        depth=options.depth,
        patch_embed_dim=options.embed_dim,
        embed_dim_mul=list(map(list, options.dim_mul)),
        atten_head_mul=list(map(list, options.head_mul)),
        pool_q_stride_size=list(map(list, options.pool_q_stride)),
        pool_kv_stride_adaptive=list(options.pool_kv_stride_adaptive or ()),
        pool_kvq_kernel=options.pool_kvq_kernel,
        head_dropout_rate=0.0,
        head_num_classes=scale.labels,
    )
    return network


def torchvision_mvit(scale: Scale) -> nn.Module:
    """At published size that is `mvit_v2_s`."""
    blocks = [
        torchvision_video.MSBlockConfig(
            num_heads=block.num_heads,
            input_channels=block.input_channels,
            output_channels=block.output_channels,
            kernel_q=list(block.pool_q.kernel) if block.pool_q else [],
            stride_q=list(block.pool_q.stride) if block.pool_q else [],
            kernel_kv=list(block.pool_kv.kernel) if block.pool_kv else [],
            stride_kv=list(block.pool_kv.stride) if block.pool_kv else [],
        )
        for block in mvit_options(scale).blocks
    ]
    network: nn.Module = torchvision_video.MViT(
        (scale.size, scale.size),
        scale.frames,
        blocks,
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
        dropout=0.0,
        num_classes=scale.labels,
    )
    return network


def medvid_mvit(scale: Scale) -> Model:
    """Our network with the library's weights."""
    input_info = InputInfo("video", 3, (scale.frames, scale.size, scale.size))
    target_info = TargetInfo("classification", tuple(map(str, range(scale.labels))))
    backbone = MViT(mvit_options(scale), input_info)
    head = LinearClassifierOptions(name="classification")
    model = Model(backbone, LinearClassifier(head, backbone.feature_info, input_info, target_info))
    model.load_state_dict(translate(published_mvit(scale).state_dict(), scale.source, model).tensors)
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
    """Floating-point operations in convolutions and matrix products of one forward pass, and of one step."""
    network = published_mvit(scale).to("meta")
    batch = torch.empty(scale.batch_size, 3, scale.frames, scale.size, scale.size, device="meta")
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        output = network(batch)
        forward = counter.get_total_flops()
        output.sum().backward()
    return forward, counter.get_total_flops()


def memory(name: str, scale: Scale) -> float:
    """Peak memory in GB of two steps, for a process of its own."""
    idle = peak_memory(torch.device("cpu"))
    side = make_side(name, scale)
    device = side.device
    for _ in range(2):
        side.step()
    return (peak_memory(device) - (idle if device.type == "cpu" else 0)) / 1e9


def peaks_of_memory(scale: Scale) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(memory, (name, scale)) for name in names(scale)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SCALES, help="default: both, one after the other")
    parser.add_argument("--batch-size", type=int, default=1, help="clips per step")
    parser.add_argument("--steps", type=int, default=10, help="training steps per side")
    parser.add_argument("--quick", action="store_true", help="small networks, 3 steps, no memory")
    arguments = parser.parse_args()
    for name in [arguments.model] if arguments.model else SCALES:
        scale = replace(SCALES[name], batch_size=arguments.batch_size)
        if arguments.quick:
            scale = replace(
                scale, options=scale.options | QUICK_OPTIONS[name], batch_size=2, frames=4, size=64, labels=5
            )
        compare(name, scale, 3 if arguments.quick else arguments.steps, measure_memory=not arguments.quick)


def compare(name: str, scale: Scale, steps: int, *, measure_memory: bool) -> None:
    print(f"{name}, {scale}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    peaks = peaks_of_memory(scale) if measure_memory else {}
    sides = {side: make_side(side, scale) for side in names(scale)}
    step_seconds = take_turns({side: sides[side].step for side in sides}, rounds=steps - 1)
    forward_seconds = take_turns({side: sides[side].forward for side in sides}, rounds=max(2, steps // 4))
    print_results(sides, step_seconds, forward_seconds, peaks, flops(scale))


def print_results(
    sides: dict[str, Side],
    step_seconds: dict[str, float],
    forward_seconds: dict[str, float],
    peaks: dict[str, float],
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
    columns = ["", "step s", "faster", "share", "forward s", "faster", "share", "memory GB", "peak GFLOP/s"]
    print_table(columns, rows)
    print()
    curves = [side.losses for side in sides.values()]
    print_table(
        ["loss at step", *sides],
        [[index, *(f"{loss:.5f}" for loss in losses)] for index, losses in enumerate(zip(*curves, strict=True), 1)],
    )
    print()


if __name__ == "__main__":
    main()
