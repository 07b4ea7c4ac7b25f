"""Where the time of training steps goes, on the task's own data: waiting, copying, the passes, the optimizer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from statistics import median
from typing import cast

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.dataset import Progress
from medvid.data.loading.batches import training_batches
from medvid.data.transforms.build import build_transforms
from medvid.profiling.timing import Times, synchronise, timed
from medvid.runs.session import Session
from medvid.training.loop import Trainer
from medvid.training.losses import Losses

WARM_UP = 2
"""Steps that do not count: loaders start, and kernels are chosen."""


@dataclass(frozen=True, slots=True)
class TrainingSpeed:
    """Of steps one after the other: each waits for the device several times, which a run does not.

    Args:
        step: all of it.
        parts: median seconds of ``data`` (waiting for the loader), ``copy`` (to the device; a run hides it behind the
            step before, on CUDA), ``forward`` (with the loss), ``backward`` and ``optimizer``.
        cases: per second.
        peak: bytes of the device's memory; None where it does not tell.
    """

    step: Times
    parts: Mapping[str, float]
    cases: float
    peak: int | None


def measure_training(session: Session, cases: Sequence[str], steps: int, progress: Progress) -> TrainingSpeed:
    """Train some steps from the start of the training, and keep nothing.

    Args:
        session: built; its data set is prepared.
        cases: ids of the training cases.
        steps: that count.
        progress: told after each step.

    Raises:
        MedvidError: a case cannot be read, or a loss is not finite.
    """
    task, fabric, model = session.task, session.fabric, session.model
    build = session.checked.host.build
    changes = build_transforms(task.dataset, session.checked.host, "batch")
    trainer = Trainer(fabric, model, task.train, task.seed, len(session.checked.input_info.size), build, changes)
    options, taken = task.train, []
    batches = training_batches(
        session.dataset,
        cases,
        seed=task.seed,
        batch_size=options.batch_size,
        first=0,
        stop=(WARM_UP + steps) * options.accumulate,
        loading=session.loading,
    )
    parts = _Parts(trainer, options.accumulate)
    if fabric.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(fabric.device)
    with closing(batches):
        for step in range(WARM_UP + steps):
            taken.append(parts.of_step(batches))
            progress(step + 1, WARM_UP + steps)
    trainer.log.stop_if_refused(trainer.progress.step)
    peak = torch.cuda.max_memory_allocated(fabric.device) if fabric.device.type == "cuda" else None
    counted = taken[WARM_UP:]
    whole = Times.of([sum(each.values()) for each in counted])
    each_part = {name: median(each[name] for each in counted) for name in counted[0]}
    return TrainingSpeed(whole, each_part, options.batch_size * options.accumulate / whole.median, peak)


class _Parts:
    """Takes steps of a trainer, and notes what their parts take."""

    def __init__(self, trainer: Trainer, accumulate: int) -> None:
        self._trainer, self._device, self._accumulate = trainer, trainer.fabric.device, accumulate
        self._forward = self._optimizer = self._began = 0.0
        self._losses = trainer.losses
        trainer.losses = cast(Losses, self)
        trainer.optimizer.register_step_pre_hook(lambda *_: self._begin())
        trainer.optimizer.register_step_post_hook(lambda *_: self._end_optimizer())

    def of_step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """Seconds of the parts of the next step."""
        self._forward = self._optimizer = 0.0
        began = time.perf_counter()
        loaded = [next(batches) for _ in range(self._accumulate)]
        waited = time.perf_counter() - began
        copied = timed(lambda: self._copy(loaded), self._device)
        whole = timed(lambda: self._trainer.step(loaded), self._device)
        backward = whole - self._forward - self._optimizer
        return {
            "data": waited,
            "copy": copied,
            "forward": self._forward,
            "backward": backward,
            "optimizer": self._optimizer,
        }

    def _copy(self, loaded: list[Batch]) -> None:
        loaded[:] = [batch.to(self._device, self._trainer.memory_format) for batch in loaded]

    def __call__(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The losses, as `medvid.training.losses.Losses` gives them to the trainer."""
        self._begin()
        losses = self._losses(input, target)
        synchronise(self._device)
        self._forward += time.perf_counter() - self._began
        return losses

    @property
    def in_graphs(self) -> bool:
        """See `medvid.training.losses.Losses`."""
        return self._losses.in_graphs

    def unsynchronised(self) -> AbstractContextManager[None]:
        """See `medvid.training.losses.Losses`."""
        return self._losses.unsynchronised()

    def _begin(self) -> None:
        synchronise(self._device)
        self._began = time.perf_counter()

    def _end_optimizer(self) -> None:
        synchronise(self._device)
        self._optimizer += time.perf_counter() - self._began
