"""Compiled steps on a GPU, with and without CUDA graphs."""

import pytest
import torch
from tests.gpu.small import HOST, NEEDS_GPU, make_trainer, small_task, train
from torch import nn

from medvid.config.matrix import matrix
from medvid.training.optimizers.options import SGDOptions

pytestmark = NEEDS_GPU


@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
def test_a_compiled_training_follows_an_uncompiled_one(mode: bool | str) -> None:
    cell = next(cell for cell in matrix(HOST) if cell.trains and cell.backbone.name == "vit")
    weights = []
    for compiled in (False, mode):
        sgd = SGDOptions(lr=0.1)
        task = small_task(cell, precision="fp32", steps=6, accumulate=2, optimizer=sgd, compile=compiled)
        trainer = make_trainer(task)
        for module in trainer.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # compiled, it draws other random numbers
        train(trainer, task, stop=3)
        weights.append({name: value.cpu() for name, value in trainer.model.state_dict().items()})
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-2, atol=1e-4)
