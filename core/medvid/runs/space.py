"""Whether the disk has room for everything a run will write, checked before the first step."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from torch import nn

from medvid.config.evaluation import VoxelEvaluationOptions
from medvid.config.task import Task
from medvid.data.dataset import Dataset, SegmentationCase
from medvid.errors import ResourceError
from medvid.files import free_space

_LABEL_BYTES = 1 / 16
"""Bytes per voxel of a compressed label map, rounded up."""
_VALUE_BYTES = 4
"""Likewise of a map of values, which hardly gets smaller."""
_ASKED = 20
"""Number of cases from whose sizes the total is estimated."""


def check_space(folder: Path, task: Task, model: nn.Module, dataset: Dataset, evaluated: Sequence[str]) -> None:
    """Refuse a run for which the disk has no room; the space of its earlier checkpoints counts as free.

    Args:
        folder: for checkpoints and predictions; need not exist yet.
        task: the run's.
        model: the model to save.
        dataset: prepared.
        evaluated: the cases whose predictions are written at the end.

    Raises:
        ResourceError: with the needed and the free space.
    """
    size, count = checkpoint_bytes(task, model), _checkpoints_at_once(task)
    predictions = _prediction_bytes(task, dataset, evaluated)
    needed = count * size + predictions
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if needed <= (room := free_space(folder) + taken):
        return
    raise ResourceError(
        f"{folder} has room for {_text(room)}, the run needs {_text(needed)}: {count} checkpoints of {_text(size)} at "
        f"once (the newest {task.train.keep_checkpoints}, the best, and the one being written), and "
        f"{_text(predictions)} for predictions",
        hint="free space, choose another disk (--set output=FOLDER), or keep fewer: --set train.keep_checkpoints=1",
    )


def checkpoint_bytes(task: Task, model: nn.Module) -> int:
    """Bytes of one checkpoint: weights, the optimizer's state and the averaged weights."""
    weights = sum(int(tensor.nbytes) for tensor in model.state_dict().values())
    trained = sum(int(parameter.nbytes) for parameter in model.parameters() if parameter.requires_grad)
    return weights + task.train.optimizer.states_per_parameter() * trained + (weights if task.train.ema else 0)


def _checkpoints_at_once(task: Task) -> int:
    options, every = task.train, task.evaluation.every
    periods = [period for period in (every, options.checkpoint_every) if period]
    saved = math.ceil(options.steps / min([options.steps, *periods]))
    return min(saved, options.keep_checkpoints + 2)


def _prediction_bytes(task: Task, dataset: Dataset, cases: Sequence[str]) -> int:
    """Of label maps, or a mask for each label that may overlap others, or values; and of probabilities, if any."""
    info, options = dataset.target_info, task.evaluation
    if info.where != "voxel" or not cases:
        return 0
    of_one = _VALUE_BYTES if info.what == "value" else _LABEL_BYTES
    per_voxel = of_one * (1 if info.what == "class" else len(info.names))
    if isinstance(options, VoxelEvaluationOptions) and options.probabilities:
        per_voxel += len(info.names)  # a byte each, compressed by an unknown factor
    asked = cases[:: -(-len(cases) // _ASKED)]
    grids = [cast(SegmentationCase, dataset.open_case(case)).grid for case in asked]
    return round(sum(math.prod(grid.native_shape) for grid in grids) * per_voxel * len(cases) / len(asked))


def _text(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 1 << 30 else f"{count / 2**20:.1f} MiB"
