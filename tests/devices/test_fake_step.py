"""A step of the training loop, forth and back, on tensors without values: what would wait for the device raises."""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from medvid.models.build import build_model
from medvid.plugin.host import make_host
from medvid.testing.cells import blank_batch, cell_task, pairs
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import SGDOptions

HOST = make_host()
CELLS = {name: cell for name, cell in pairs(HOST).items() if name.startswith("vit-")}
"""All heads; that no backbone asks for a value on its way back is what `medvid.testing` looks after."""
RECIPES = {
    "plain": {},
    "bf16 in parts, clipped and averaged": {"precision": "bf16", "accumulate": 2, "clip_norm": 1.0, "ema": 0.9},
    "fp16 averaged": {"precision": "fp16", "ema": 0.9},
    "momentum after a freeze": {
        "optimizer": SGDOptions(lr=0.1, momentum=0.9),
        "freeze": ({"parameters": "backbone.*", "steps": 1},),
    },
}


@pytest.mark.parametrize(
    ("name", "recipe"),
    [*((name, "plain") for name in CELLS), *(("vit-pixel", recipe) for recipe in [*RECIPES][1:])],
)
def test_no_step_waits_and_reading_the_losses_does(name: str, recipe: str) -> None:
    task = cell_task(HOST, CELLS[name], steps=3, **RECIPES[recipe])
    options, axes = task.task.train, len(task.input_info.size)
    trainer = Trainer(make_fabric(options), build_model(task), options, 0, axes, HOST.build)
    batches = [blank_batch(task, torch.device("cpu"))] * options.accumulate
    with FakeTensorMode(allow_non_fake_inputs=True):
        for _ in range(2):
            trainer.step(batches)
        assert not any(row.requires_grad for row in trainer.log.rows), "a graph would be kept for each"
        with pytest.raises(DataDependentOutputException):
            trainer.log.read(2)
