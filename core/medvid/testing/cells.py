"""A cell of the matrix, tried: a backbone with a head on a toy data set, through the training and evaluation core."""

import math
from pathlib import Path
from typing import Any, cast

import torch

from medvid.config.checked import CheckedTask
from medvid.config.evaluation import EVALUATION_OPTIONS, VoxelEvaluationOptions
from medvid.config.examples import read_options
from medvid.config.matrix import Cell, matrix
from medvid.config.options import HeadOptions
from medvid.config.task import Task, TrainOptions
from medvid.data.batch import Batch
from medvid.data.loading.batches import training_batches
from medvid.data.targets import target_dtype
from medvid.devices.memory_format import CHANNELS_LAST
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.cases import EvaluationSetup, evaluate_cases
from medvid.models.build import build_model
from medvid.plugin.host import Host
from medvid.plugin.specs import Example
from medvid.testing.check import expect
from medvid.testing.targets import toy_target
from medvid.testing.toy import ToyDataset, ToyOptions
from medvid.training.checkpoint import checkpoint_path
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import AdamWOptions

_ADAMW = AdamWOptions(lr=1e-3)


def cell_task(host: Host, cell: Cell, *, seed: int = 0, **train: Any) -> CheckedTask:
    """A task of one step on a toy data set, with the examples of backbone and head.

    Args:
        host: has both.
        cell: one that trains.
        seed: of the run.
        train: options of the training that are others than those of a step on the CPU.
    """
    assert cell.example is not None, "the cell trains"
    assert cell.input_info is not None, "the cell trains"
    head_example = next(iter(cell.head.examples), Example())
    evaluation = EVALUATION_OPTIONS[cell.head.where](figures=0)
    if isinstance(evaluation, VoxelEvaluationOptions):
        evaluation = evaluation.model_copy(update={"overlap": 0.0})
    target_info = toy_target(cell.head.where, cell.what)
    task = Task(
        name="cell",
        seed=seed,
        dataset=ToyOptions.of(cell.input_info, target_info),
        backbone=read_options(host, cell.backbone, cell.example.options),
        head=cast(HeadOptions, read_options(host, cell.head, head_example.options)).filled(target_info),
        train=TrainOptions.model_validate(
            {"steps": 1, "batch_size": 2, "optimizer": _ADAMW, "precision": "fp32", "accelerator": "cpu"} | train
        ),
        evaluation=evaluation,
    )
    return CheckedTask(task, host, (cell.backbone, cell.head), cell.input_info, target_info, cell.adaptation)


def pairs(host: Host) -> dict[str, Cell]:
    """Each backbone with each head, ``"<backbone>-<head>"``; on the backbone's own axes, if the head takes it.

    A head that predicts several kinds of annotation predicts the first of them.
    """
    fitting = (cell for cell in matrix(host) if cell.trains and cell.what == cell.head.what[0])
    cells = sorted(fitting, key=lambda cell: cell.adaptation is None)
    return {f"{cell.backbone.name}-{cell.head.name}": cell for cell in cells}


def blank_batch(checked: CheckedTask, device: torch.device, cases: int = 2) -> Batch:
    """A batch of a task without anything in it, on a device, in the memory format of training."""
    info, target_info = checked.input_info, checked.target_info
    size, target_shape = (cases, info.channels, *info.size), target_info.target_shape(info.axes, info.size)
    return Batch(
        torch.empty(size, device=device).contiguous(memory_format=CHANNELS_LAST[len(size)]),
        torch.zeros((cases, *target_shape), dtype=target_dtype(target_info), device=device),
        tuple(map(str, range(cases))),
    )


def try_cell(host: Host, cell: Cell, folder: Path) -> None:
    """Train a cell of the matrix for a step, evaluate it, and take its state through a checkpoint.

    Args:
        host: has backbone and head.
        cell: one that trains.
        folder: for the checkpoint and the predictions.

    Raises:
        CheckFailedError: a step changes nothing, or there is no figure, or the checkpoint gives another state.
    """
    checked = cell_task(host, cell)
    trainer, dataset = _trainer(checked), ToyDataset(checked.task.dataset)
    trained = {name: item for name, item in trainer.model.named_parameters() if item.requires_grad}
    before = {name: parameter.detach().clone() for name, parameter in trained.items()}
    batches = training_batches(dataset, dataset.cases("train"), seed=0, batch_size=2, first=0, stop=1)
    trainer.fit(batches, 1, _Silent(), lambda: False)
    still = [name for name, parameter in trained.items() if torch.equal(before[name], parameter)]
    expect(not any(name.startswith("head.") for name in still), f"a step of training leaves {', '.join(still)} alone")
    moved = {name for name in before if name.startswith("backbone.")} - set(still)
    expect(bool(moved), "a step of training changes nothing of the backbone")

    evaluator = build_evaluator(checked.task.evaluation, checked.input_info, checked.target_info, host)
    rows = evaluate_cases(
        EvaluationSetup(trainer.fabric, evaluator, dataset),
        trainer.model,
        dataset.cases("validation"),
        final=True,
        folder=folder,
        progress=lambda _done, _total: None,
    )
    figures = evaluator.scorer.summarise(rows).metrics
    monitor = evaluator.scorer.monitor
    value = figures.get(monitor, math.nan)
    expect(math.isfinite(value), f"{monitor} is {value}, of {sorted(figures)}")

    trainer.save(folder, _Silent())
    again = _trainer(cell_task(host, cell, seed=1))
    again.restore(checkpoint_path(folder, 1))
    for name, tensor in trainer.model.state_dict().items():
        expect(torch.equal(again.model.state_dict()[name], tensor), f"the checkpoint gives another {name}")


def _trainer(checked: CheckedTask) -> Trainer:
    task = checked.task
    fabric = make_fabric(task.train)
    fabric.launch()
    axes = len(checked.input_info.size)
    return Trainer(fabric, build_model(checked), task.train, task.seed, axes, checked.host.build)


class _Silent:
    """An observer of the training that wants to know nothing."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...

    def saved(self, path: Path, step: int, is_best: bool) -> None: ...
