"""The networks of plans in two processes: with deep supervision and one Dice of the batch, they step as in one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file

from medvid.config.options import BackboneOptions
from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.losses.options import DiceCEOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.options import DecoderOptions, SegmentationHeadOptions
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import SGDOptions
from medvid_primus.config import PrimusDecoderOptions, PrimusOptions
from medvid_unet.config import UNetDecoderOptions, UNetOptions

LOSS = DiceCEOptions(batch=True, include_background=False)
HOST = make_host()
INPUT, TARGET = InputInfo("volume", 1, (16, 16, 16)), TargetInfo("voxel", "class", ("a", "b", "c"))
STAGES: Any = {"features": (4, 6, 8, 10), "strides": ((1, 1, 1), *((2, 2, 2),) * 3), "encoder": "resenc"}
SMALL: Any = {
    "img_size": INPUT.size,
    "hidden_size": 24,
    "num_heads": 2,
    "num_layers": 2,
    "stem_channels": (4, 6, 8, 10),
}
NETWORKS: dict[str, tuple[BackboneOptions, DecoderOptions | SegmentationHeadOptions, bool]] = {
    "unet": (
        UNetOptions(name="unet", blocks=(1, 1, 1, 1), **STAGES),
        UNetDecoderOptions(name="unet_decoder", loss=LOSS),
        True,
    ),
    "primus": (
        PrimusOptions(name="primus", drop_path=0.0, **SMALL),
        PrimusDecoderOptions(name="primus_decoder", loss=LOSS),
        False,
    ),
}
"""And whether they are trained at several scales."""


class Quiet:
    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...


def one_step(name: str, fabric: Fabric, part: slice) -> dict[str, torch.Tensor]:
    """The weights after a step of rate 1 with clipping, on some of three examples, each of which lacks a class."""
    backbone_options, head_options, has_scales = NETWORKS[name]
    torch.manual_seed(0)
    backbone = HOST.build(backbone_options, INPUT)
    model = Model(backbone, build_head(HOST.build, head_options, backbone.feature_info, INPUT, TARGET))
    random = torch.Generator().manual_seed(1)
    values = torch.randn(3, 1, *INPUT.size, generator=random, dtype=torch.float64)
    target = torch.randint(3, (3, *INPUT.size), generator=random)
    target = target.where(target != torch.arange(3).view(3, 1, 1, 1), 0)
    assert isinstance(model(values.float()), tuple) == has_scales
    batch = Batch(values[part], target[part], ("case",) * len(values[part]))
    recipe = TrainOptions(steps=1, batch_size=1, clip_norm=12.0, optimizer=SGDOptions(lr=1.0), channels_last=False)
    trainer = Trainer(fabric, model, recipe, seed=0, spatial_axes=3, build=HOST.build)
    trainer.fit(iter([batch]), 1, Quiet(), lambda: False)  # type: ignore[arg-type]
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def test_of_two_processes(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, timeout=240, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    alone = Fabric(accelerator="cpu", precision="64-true")
    for name in NETWORKS:
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in range(2))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
        torch.testing.assert_close(first, one_step(name, alone, slice(None)), rtol=1e-4, atol=1e-7)


if __name__ == "__main__":
    shared = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="64-true")
    shared.launch()
    rank = shared.global_rank
    for each in NETWORKS:
        weights = one_step(each, shared, (slice(0, 2), slice(2, 3))[rank])
        save_file(weights, Path(sys.argv[1]) / f"{each}-{rank}.safetensors")
    torch.distributed.barrier()  # a process that ends while the other still speaks to it may be aborted
