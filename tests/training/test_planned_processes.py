"""The networks of plans in two processes: with deep supervision and one Dice of the batch, they step as in one."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torchvision.ops import StochasticDepth

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.losses.options import DiceCEOptions
from medvid.models.build import build_model
from medvid.plugin.host import make_host
from medvid.testing.cells import cell_task, pairs
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import SGDOptions

NAMES = ("unet-unet_decoder", "primus-primus_decoder")
HOST = make_host()
PAIRS = pairs(HOST)


class Quiet:
    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...


def one_step(name: str, fabric: Fabric, part: slice) -> dict[str, torch.Tensor]:
    """The weights after a step of rate 1 with clipping, on some of three examples, each of which lacks a class."""
    task = cell_task(HOST, PAIRS[name])
    torch.manual_seed(0)
    model = build_model(task)
    model.head.criterion = HOST.build(DiceCEOptions(batch=True, include_background=False), task.target_info)
    for module in model.modules():
        if isinstance(module, StochasticDepth):  # random, by process
            module.p = 0.0
    info, labels = task.input_info, len(task.target_info.names)
    random = torch.Generator().manual_seed(1)
    values = torch.randn(3, info.channels, *info.size, generator=random, dtype=torch.float64)
    target = torch.randint(labels, (3, *info.size), generator=random)
    target = target.where(target != torch.arange(3).view(3, *[1] * len(info.size)) % labels, 0)
    assert isinstance(model(values.float()), tuple) == (name == NAMES[0]), (
        "the U-Net alone is trained at several scales"
    )
    batch = Batch(values[part], target[part], ("case",) * len(values[part]))
    recipe = TrainOptions(steps=1, batch_size=1, clip_norm=12.0, optimizer=SGDOptions(lr=1.0), channels_last=False)
    trainer = Trainer(fabric, model, recipe, seed=0, spatial_axes=len(info.size), build=HOST.build)
    trainer.fit(iter([batch]), 1, Quiet(), lambda: False)  # type: ignore[arg-type]
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def test_of_two_processes(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, timeout=240, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    alone = Fabric(accelerator="cpu", precision="64-true")
    for name in NAMES:
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in range(2))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
        torch.testing.assert_close(first, one_step(name, alone, slice(None)), rtol=1e-4, atol=1e-7)


if __name__ == "__main__":
    shared = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="64-true")
    shared.launch()
    rank = shared.global_rank
    for each in NAMES:
        weights = one_step(each, shared, (slice(0, 2), slice(2, 3))[rank])
        save_file(weights, Path(sys.argv[1]) / f"{each}-{rank}.safetensors")
    torch.distributed.barrier()  # a process that ends while the other still speaks to it may be aborted
