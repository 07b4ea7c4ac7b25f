"""A cell of the matrix, tried: a backbone with a head on a toy data set, through the training and evaluation core."""

import math
from pathlib import Path

import torch

from medvid.config.evaluation import EVALUATION_OPTIONS, SegmentationEvaluationOptions
from medvid.config.examples import read_options
from medvid.config.matrix import Cell
from medvid.config.task import AdamW, Task, TrainOptions
from medvid.models.build import build_model
from medvid.plugin.host import Host
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import Example
from medvid.testing.check import expect
from medvid.testing.toy import ToyDataset, ToyOptions
from medvid.training.batches import training_batches
from medvid.training.checkpoint import checkpoint_path
from medvid.training.device import make_fabric
from medvid.training.evaluate import evaluate_cases
from medvid.training.loop import Trainer

LABELS = ("background", "one", "two")


def cell_task(host: Host, cell: Cell, *, seed: int = 0) -> Task:
    """A task of one step on a toy data set, with the examples of backbone and head.

    Args:
        host: has both.
        cell: one that trains.
        seed: of the run.
    """
    assert cell.example is not None, "the cell trains"
    assert cell.input_info is not None, "the cell trains"
    head_example = next(iter(cell.head.examples), Example())
    evaluation = EVALUATION_OPTIONS[cell.head.task](figures=0)
    if isinstance(evaluation, SegmentationEvaluationOptions):
        evaluation = evaluation.model_copy(update={"overlap": 0.0})
    return Task(
        name="cell",
        seed=seed,
        dataset=ToyOptions.of(cell.input_info, TargetInfo(cell.head.task, LABELS)),
        backbone=read_options(host, cell.backbone, cell.example.options),
        head=read_options(host, cell.head, head_example.options),
        train=TrainOptions(
            steps=1, batch_size=2, optimizer=AdamW(name="adamw", lr=1e-3), precision="fp32", accelerator="cpu"
        ),
        evaluation=evaluation,
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
    task = cell_task(host, cell)
    trainer, dataset = _trainer(host, task), ToyDataset(task.dataset)
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    batches = training_batches(dataset, dataset.cases("train"), seed=0, batch_size=2, first=0, stop=1)
    trainer.fit(batches, 1, _Silent(), lambda: False)
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(before[name], parameter)]
    expect(not any(name.startswith("head.") for name in still), f"a step of training leaves {', '.join(still)} alone")
    moved = {name for name in before if name.startswith("backbone.")} - set(still)
    expect(bool(moved), "a step of training changes nothing of the backbone")

    evaluator = trainer.model.head.evaluator(task.evaluation, dataset.input_info, dataset.target_info)
    rows = evaluate_cases(
        trainer.fabric,
        trainer.model,
        evaluator,
        dataset,
        dataset.cases("validation"),
        final=True,
        folder=folder,
        workers=0,
        progress=lambda _done, _total: None,
    )
    figures = evaluator.summarise(rows).metrics
    value = figures.get(evaluator.monitor, math.nan)
    expect(math.isfinite(value), f"{evaluator.monitor} is {value}, of {sorted(figures)}")

    trainer.save(folder, _Silent())
    again = _trainer(host, cell_task(host, cell, seed=1))
    again.restore(checkpoint_path(folder, 1))
    for name, tensor in trainer.model.state_dict().items():
        expect(torch.equal(again.model.state_dict()[name], tensor), f"the checkpoint gives another {name}")


def _trainer(host: Host, task: Task) -> Trainer:
    fabric = make_fabric(task.train)
    fabric.launch()
    return Trainer(fabric, build_model(task, host), task.train, task.seed, len(task.dataset.input_info().size))


class _Silent:
    """An observer of the training that wants to know nothing."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...

    def saved(self, path: Path, step: int, is_best: bool) -> None: ...
