"""What training promises of bits and of the device, on a GPU, for every kind of model."""

from pathlib import Path

import pytest
import torch
from tests.gpu.small import NEEDS_GPU, Silent, batches, each_kind, make_trainer, small_task, train

from medvid.config.matrix import Cell
from medvid.models.build import build_model
from medvid.training.checkpoint import checkpoint_path, load_checkpoint
from medvid.training.footprint import estimate
from medvid.training.loop import Trainer

pytestmark = NEEDS_GPU


def assert_same_bits(one: Path, other: Path, step: int) -> None:
    found, wanted = (load_checkpoint(checkpoint_path(folder, step)).tensors for folder in (one, other))
    assert found.keys() == wanted.keys()
    for kind, tensors in wanted.items():
        differing = [name for name, tensor in tensors.items() if not torch.equal(found[kind][name], tensor)]
        assert not differing, f"{kind}: {differing[:3]} of {len(differing)}"


@each_kind
def test_two_runs_and_one_that_is_resumed_end_with_the_same_bits(cell: Cell, tmp_path: Path) -> None:
    task = small_task(cell)
    folders = {name: tmp_path / name for name in ("first", "second", "resumed")}
    for name in ("first", "second"):
        trainer = make_trainer(task)
        train(trainer, task, stop=20)
        trainer.save(folders[name], Silent())
    trainer = make_trainer(task)
    train(trainer, task, stop=10)
    trainer.save(folders["resumed"], Silent())
    trainer = make_trainer(task)
    trainer.restore(checkpoint_path(folders["resumed"], 10))
    train(trainer, task, stop=20)
    trainer.save(folders["resumed"], Silent())
    assert_same_bits(folders["second"], folders["first"], 20)
    assert_same_bits(folders["resumed"], folders["first"], 20)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@each_kind
def test_no_step_waits_for_the_device(cell: Cell, precision: str) -> None:
    task = small_task(cell, precision=precision, steps=5)
    trainer = make_trainer(task)
    train(trainer, task, stop=2)  # what is asked once, such as limits of the device, is asked by now
    pinned = [batch.pin_memory() for batch in batches(task, 2)]
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in pinned:
            take_step(trainer, batch)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def take_step(trainer: Trainer, batch: object) -> None:
    trainer.step([batch])  # type: ignore[list-item]


@each_kind
def test_the_estimate_is_near_the_memory_that_a_step_takes(cell: Cell) -> None:
    task = small_task(cell, steps=3, batch_size=16, deterministic=False)
    model = build_model(task)
    trainer = make_trainer(task)
    footprint = estimate(task, model, trainer.fabric)
    assert footprint is not None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    for batch in batches(task):
        take_step(trainer, batch)
    # Networks of a few channels: allocations are rounded to 512 bytes, and workspaces weigh as much as maps.
    assert 0.5 < footprint.training / torch.cuda.max_memory_allocated() < 1.5
