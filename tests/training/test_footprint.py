"""The estimate of a step's memory is what a step really allocates, and what lowers the one lowers the other."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from medvid.config.checked import CheckedTask
from medvid.config.matrix import Cell, matrix
from medvid.config.task import Freeze
from medvid.models.build import build_model
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.testing.cells import cell_task
from medvid.training.footprint import Footprint, estimate, shortage
from medvid.training.optimizers.options import SGDOptions

HOST = make_host()
CELLS = {(cell.backbone.name, cell.head.name, cell.axes): cell for cell in matrix(HOST) if cell.what == "class"}
PAIRS = [("vit", "pixel", "image"), ("mvit", "classification", "video")]
FABRIC = Fabric(accelerator="cpu")


def make_task(cell: Cell, **train: Any) -> CheckedTask:
    """With so many examples that they outweigh what kernels need for themselves."""
    return cell_task(HOST, cell, **{"batch_size": 8} | train)


def estimated(task: CheckedTask, model: Model | None = None) -> Footprint:
    footprint = estimate(task, model or build_model(task), FABRIC)
    assert footprint is not None
    return footprint


def measured_peak(task: CheckedTask, model: Model) -> int:
    """Bytes that a step allocates at most at once, as torch's allocator tells the profiler."""
    info, target_info = task.input_info, task.target_info
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        images = torch.randn(task.task.train.batch_size, info.channels, *info.size)
        target = torch.zeros(len(images), *target_info.target_shape(info.axes, info.size), dtype=torch.int64)
        torch.autograd.backward(model.head.loss(model(images), target)["loss"])
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    now = peak = 0
    for event in events:
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


@pytest.fixture(scope="module")
def task() -> CheckedTask:
    return make_task(CELLS[PAIRS[0]])


@pytest.fixture(scope="module")
def usual(task: CheckedTask) -> Footprint:
    return estimated(task)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_it_is_what_a_step_allocates(pair: tuple[str, str, str]) -> None:
    task = make_task(CELLS[pair])
    model = build_model(task).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = estimated(task, model)
    assert found.training - found.held == pytest.approx(measured_peak(task, build_model(task)), rel=0.1)
    assert 0 < found.activations < found.training - found.held
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_a_recipe_saves_or_costs(task: CheckedTask, usual: Footprint) -> None:
    def changed(**train: Any) -> Footprint:
        return estimated(make_task(CELLS[PAIRS[0]], **train))

    weights = sum(tensor.nbytes for tensor in build_model(task).parameters())
    assert changed(ema=0.9).held == usual.held + weights
    assert changed(optimizer=SGDOptions(lr=0.1)).held == usual.held - weights
    assert changed(gradient_checkpointing=True).activations < usual.activations
    assert changed(accumulate=2).training > usual.training
    assert changed(batch_size=16).activations > 1.9 * usual.activations
    frozen = changed(freeze=(Freeze(parameters="backbone.*"),))
    assert frozen.held < usual.held
    assert frozen.activations < usual.activations


def test_more_windows_at_once_need_more(task: CheckedTask, usual: Footprint) -> None:
    options = task.task
    evaluation = options.evaluation.model_copy(update={"window_batch": 32})
    found = estimated(replace(task, task=options.model_copy(update={"evaluation": evaluation})))
    assert found.inference > usual.inference
    assert found.training == usual.training


def test_what_to_do_is_said_where_it_may_not_fit(task: CheckedTask, usual: Footprint) -> None:
    model = build_model(task)
    assert shortage(usual, task.task, model, FABRIC, free=2 * usual.training) == ""
    assert shortage(usual, task.task, model, FABRIC, free=usual.training) == (
        "it may not fit; to need less, the cheapest first: train.batch_size=4 with train.accumulate=2, "
        "train.precision=bf16, train.gradient_checkpointing=true (a second forward pass in each step), smaller inputs"
    )
    evaluating = Footprint(held=1, activations=2, training=3, inference=100)
    assert "set a smaller evaluation.window_batch" in shortage(evaluating, task.task, model, FABRIC, free=50)


def test_a_model_that_reads_values_cannot_be_estimated(task: CheckedTask) -> None:
    class Reading(Model):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) * float(input.mean())

    model = build_model(task)
    assert estimate(task, Reading(model.backbone, model.head), FABRIC) is None


def test_parameters_that_modules_share_count_once(task: CheckedTask, usual: Footprint) -> None:
    model = build_model(task)
    model.first_twin = torch.nn.Linear(100, 100, bias=False)
    alone = estimated(task, model).held
    model.second_twin = torch.nn.Linear(100, 100, bias=False)
    model.second_twin.weight = model.first_twin.weight
    assert estimated(task, model).held == alone > usual.held


def test_random_numbers_are_as_they_were(task: CheckedTask) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    estimated(task, build_model(task))
    assert torch.equal(torch.rand(4), wanted)
