"""Model and loss as one module: compiled, it is one graph and gives the same step."""

from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.dataset import Dataset
from medvid.data.loading.batches import training_batches
from medvid.losses.dice import DiceCE
from medvid.losses.options import DiceCEOptions
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.losses import ModelLosses
from medvid.training.optimizers.options import SGDOptions

HOST = make_host()


class Quiet:
    def logged(self, *_: object) -> None: ...

    def saved(self, *_: object) -> None: ...


def step(model: Model, images: Dataset, **options: object) -> dict[str, Tensor]:
    """The weights after two steps."""
    recipe = {"steps": 2, "batch_size": 2, "accumulate": 2, "optimizer": SGDOptions(lr=0.1)}
    chosen = TrainOptions.model_validate(recipe | options)
    trainer = Trainer(Fabric(accelerator="cpu"), model, chosen, seed=0, spatial_axes=2, build=HOST.build)
    batches = training_batches(images, images.cases("train"), seed=5, batch_size=2, first=0, stop=4)
    trainer.fit(batches, 2, Quiet(), lambda: False)
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_compiled_step_is_that_of_an_uncompiled_one(
    tiny_model: Model, images: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def compile_quickly(module: nn.Module, *, mode: str, dynamic: bool) -> Any:
        """Without inductor, which calls a C++ compiler for a minute."""
        asked.append(mode)
        return torchs(module, backend="aot_eager", dynamic=dynamic)

    torchs = torch.compile
    monkeypatch.setattr(torch, "compile", compile_quickly)
    tiny_model.head.dropout.p = 0.0  # compiled, it draws other random numbers
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    expected = step(tiny_model, images)
    tiny_model.load_state_dict(start)
    found = step(tiny_model, images, compile="reduce-overhead")
    torch.testing.assert_close(found, expected)
    assert asked == ["reduce-overhead"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_is_one_graph(tiny_model: Model, images: Dataset, precision: str) -> None:
    loss = DiceCE(DiceCEOptions(), images.target_info)
    tiny_model.head.loss = loss.forward  # type: ignore[method-assign]
    recipe = {"steps": 1, "batch_size": 2, "optimizer": SGDOptions(lr=0.1), "precision": precision}
    fabric = make_fabric(TrainOptions.model_validate({**recipe, "accelerator": "cpu"}))
    losses = ModelLosses(fabric, tiny_model)
    batch = images.draw("case0", 0)
    found = torch.compile(losses, backend="eager", fullgraph=True, dynamic=False)(batch.input, batch.target)
    assert {name: (value.dtype, value.requires_grad) for name, value in found.items()} == {
        "loss": (torch.float32, True),
        "dice": (torch.float32, False),
        "ce": (torch.float32, False),
    }
