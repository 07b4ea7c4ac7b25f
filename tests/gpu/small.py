"""What the tests on GPUs share: small tasks of every kind of model."""

from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import torch

from medvid.config.checked import CheckedTask
from medvid.config.matrix import Cell, matrix
from medvid.data.batch import Batch, collate
from medvid.models.build import build_model
from medvid.plugin.host import make_host
from medvid.testing.cells import cell_task
from medvid.testing.toy import ToyDataset
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer

ACCELERATOR: Any = "cuda"
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
HOST = make_host()


def kinds() -> list[Cell]:
    """One cell for each backbone and kind of head, on axes of its own if there are any."""
    cells = [cell for cell in matrix(HOST) if cell.trains]
    cells.sort(key=lambda cell: cell.adaptation is None)  # later ones take the places of earlier ones
    return list({(cell.backbone.name, cell.head.where): cell for cell in cells}.values())


each_kind = pytest.mark.parametrize(
    "cell", kinds(), ids=lambda cell: f"{cell.backbone.name}-{cell.head.name}-{cell.axes}"
)


def small_task(cell: Cell, **train: Any) -> CheckedTask:
    recipe = {"accelerator": ACCELERATOR, "precision": "bf16", "steps": 20, "ema": 0.9, "clip_norm": 1.0} | train
    return cell_task(HOST, cell, **recipe)


def make_trainer(checked: CheckedTask) -> Trainer:
    task = checked.task
    fabric = make_fabric(task.train)
    fabric.launch()
    return Trainer(fabric, build_model(checked), task.train, task.seed, len(checked.input_info.size), HOST.build)


def batches(checked: CheckedTask, first: int = 0) -> list[Batch]:
    """One for each step from the first on."""
    task = checked.task
    dataset = ToyDataset(task.dataset)
    cases = [*islice(cycle(dataset.cases("train")), task.train.batch_size)]
    return [collate([dataset.draw(case, number) for case in cases]) for number in range(first, task.train.steps)]


class Silent:
    """Is told of a training and says nothing."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...

    def saved(self, path: Path, step: int, is_best: bool) -> None: ...


def train(trainer: Trainer, task: CheckedTask, stop: int) -> None:
    trainer.fit(iter(batches(task, trainer.progress.step)), stop, Silent(), interrupted=lambda: False)
