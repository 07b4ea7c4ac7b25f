"""Parameters that the loss does not depend on are found without computing anything."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.config.options import OptimizerOptions
from medvid.config.task import TrainOptions
from medvid.losses.dice import DiceCE
from medvid.losses.options import DiceCEOptions
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.optim import build_optimizer, optimizer_tensors, restore_optimizer
from medvid.training.optimizers.options import AdamWOptions, SGDOptions
from medvid.training.replicas import unused_parameters

HOST = make_host()
INPUT, TARGET = InputInfo("image", 2, (6, 5)), TargetInfo("voxel", "class", ("a", "b", "c"))


class Layers(Backbone):
    """Two layers; ``skips`` names those that are left out, in training only or always."""

    feature_info = FeatureInfo(maps=(MapInfo(4, (1, 1)),), embedding=4)

    def __init__(self, **skips: str) -> None:
        super().__init__()
        self.first, self.second, self.skips = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1), skips
        self.pooled = nn.Linear(4, 4)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, input: Tensor) -> Features:
        x = self.norm(self.first(input))
        when = self.skips.get("second")
        if when != "always" and not (when == "training" and self.training):
            x = self.second(x)
        return Features((x,), self.pooled(x.mean((2, 3))))


class Reading(Layers):
    """Reads a value, which there is none of on the meta device."""

    def forward(self, input: Tensor) -> Features:
        return super().forward(input * (1 if input.sum() > 0 else 2))


class PixelHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.criterion = DiceCE(DiceCEOptions(batch=True), TARGET)
        self.conv = nn.Conv2d(4, 3, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 (the contract of heads)
        out: Tensor = self.conv(features.maps[0])
        return out


POOLED = {"backbone.pooled.weight", "backbone.pooled.bias"}
SECOND = {"backbone.second.weight", "backbone.second.bias"}


@pytest.mark.parametrize(
    ("skips", "wanted"),
    [({}, POOLED), ({"second": "always"}, POOLED | SECOND), ({"second": "training"}, POOLED)],
)
def test_those_that_never_get_a_gradient_are_found(skips: dict[str, Any], wanted: set[str]) -> None:
    model = Model(Layers(**skips), PixelHead())
    state, drawn = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    assert set(unused_parameters(model, INPUT, TARGET)) == wanted
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in model.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_those_that_are_frozen_are_not_told() -> None:
    model = Model(Layers(), PixelHead())
    model.backbone.requires_grad_(False)
    assert unused_parameters(model, INPUT, TARGET) == []


def test_a_model_that_reads_values_cannot_be_looked_at() -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        unused_parameters(Model(Reading(), PixelHead()), INPUT, TARGET)


@pytest.mark.parametrize("optimizer", [AdamWOptions(lr=0.1), SGDOptions(lr=0.1)])
@pytest.mark.parametrize("begun_alone", [True, False])
def test_a_run_goes_on_with_another_number_of_processes(optimizer: OptimizerOptions, begun_alone: bool) -> None:
    """One process trains what has no gradient, in that it does nothing to it; several leave it out."""
    options = TrainOptions.model_validate({"steps": 2, "batch_size": 2, "optimizer": optimizer})
    x, target = torch.randn(2, 2, 6, 5), torch.randint(3, (2, 6, 5))

    def made(leaves_out: bool) -> tuple[Model, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = Model(Layers(), PixelHead())
        for name in unused_parameters(model, INPUT, TARGET) if leaves_out else ():
            model.get_parameter(name).requires_grad_(False)
        return model, build_optimizer(model, options, HOST.build)

    def step(model: Model, optimizer: torch.optim.Optimizer) -> None:
        torch.autograd.backward(model.head.loss(model(x), target)["loss"])
        optimizer.step()
        optimizer.zero_grad()

    alone, of_one = made(False)
    step(alone, of_one)
    step(alone, of_one)
    model, of_first = made(not begun_alone)
    step(model, of_first)
    resumed, of_second = made(begun_alone)
    resumed.load_state_dict(model.state_dict())
    restore_optimizer(of_second, resumed, optimizer_tensors(of_first, model))
    step(resumed, of_second)
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in resumed.state_dict().items())
