"""The training loop: the one truth of what a step is. Observers are told; nothing can change it from outside."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.sample import Batch
from medvid.errors import NumericError
from medvid.models.build import Model
from medvid.models.finite import abridged, names_of_non_finite
from medvid.models.memory_format import CHANNELS_LAST
from medvid.seeding import derive_seed
from medvid.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_model_state,
    prune_checkpoints,
    save_checkpoint,
)
from medvid.training.ema import WeightAverage
from medvid.training.freeze import Frozen
from medvid.training.memory import checkpoint_layers
from medvid.training.optim import (
    build_optimizer,
    optimizer_tensors,
    restore_optimizer,
    scaled_rate,
)
from medvid.training.parts import batch_norms, scale_gradients, separate_gradients
from medvid.training.schedule import rate_factor

logger = logging.getLogger("medvid")

_CALMER = (
    "the last checkpoint is from before it. Try a lower train.optimizer.lr, train.clip_norm=1, or train.precision=fp32"
)


class TrainingObserver(Protocol):
    """What the loop tells while it runs, on every rank; all values are Python floats."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        """Mean losses since the last call, and seconds per step."""

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """A checkpoint was written and verified (rank 0 only)."""


@dataclass
class TrainingProgress:
    """Where the training stands; saved with every checkpoint.

    Args:
        step: optimizer steps done.
        best_step: the step with the best validation figure, or None.
        best_value: that figure, higher is better.
        validated_step: the last step that was validated, or None.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    validated_step: int | None = None


class Trainer:
    """Optimizes a model step by step, and can save and restore everything that the next step depends on.

    Every random number of a step is drawn from a seed made of the run's seed, the step and the rank, so there is no
    random state to save, and a resumed training equals an uninterrupted one bit for bit.

    Args:
        fabric: launched; places the model on its device.
        model: freshly built (and perhaps with published weights); its head owns the loss.
        options: the training recipe.
        seed: the run's seed.
        spatial_axes: 2 for images, 3 for volumes and videos; chooses the batches' channels-last format.
    """

    def __init__(self, fabric: Fabric, model: Model, options: TrainOptions, seed: int, spatial_axes: int) -> None:
        self.fabric, self.options, self.seed = fabric, options, seed
        self.memory_format = CHANNELS_LAST[2 + spatial_axes] if options.channels_last else torch.contiguous_format
        self.model = model.to(fabric.device)
        self._frozen = Frozen(self.model, options)
        self._trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(self.model, options)
        self.peak_rate = scaled_rate(options, fabric.world_size)
        if options.gradient_checkpointing:
            checkpoint_layers(self.model.backbone)
        compiled = cast(nn.Module, torch.compile(self.model)) if options.compile else self.model
        self.forward, self.fabric_optimizer = fabric.setup(compiled, self.optimizer)
        # Such as masks with -inf; loaded weights are finite.
        self._constants = frozenset(f"model/{name}" for name in names_of_non_finite(dict(model.named_buffers())))
        self.average = WeightAverage(self.model, options.ema) if options.ema else None
        self.progress = TrainingProgress()
        # Set once a loss or gradient is not finite, and never cleared: fused optimizers read it on the device and
        # leave parameters and state untouched, so nobody has to wait for the device before a step.
        self._not_finite = torch.zeros((), device=fabric.device)
        self.optimizer.found_inf = self._not_finite  # type: ignore[attr-defined]
        self._pending: list[Tensor] = []
        self._loss_names: list[str] = []
        self._warn_of_batch_norms()

    def _warn_of_batch_norms(self) -> None:
        self._frozen.set_modes(self.progress.step)
        parts = self.options.accumulate * self.fabric.world_size
        if parts > 1 and (norms := [*batch_norms(self.model)]):
            logger.warning(
                "a step takes its batch in %d parts, and %s take the statistics of each part alone (%d cases), not of "
                "the whole batch",
                parts,
                abridged(norms),
                self.options.batch_size,
            )

    def fit(
        self, batches: Iterator[Batch], stop: int, observer: TrainingObserver, interrupted: Callable[[], object]
    ) -> None:
        """Train until `stop` optimizer steps are done, or until interrupted, at a step boundary.

        Args:
            batches: of this process.
            stop: the number of steps of the training after which to return.
            observer: told of each `log_every` steps.
            interrupted: asked after each step; where there are several processes, which have to agree on it, only
                where they wait for each other anyway, after `log_every` steps.

        Raises:
            NumericError: a loss or gradient was not finite; parameters and optimizer are as before that step.
        """
        self.forward.train()
        self._frozen.set_modes(self.progress.step)
        waited, began, since = 0.0, time.perf_counter(), self.progress.step
        while self.progress.step < stop:
            before = time.perf_counter()
            accumulated = [next(batches) for _ in range(self.options.accumulate)]
            waited += time.perf_counter() - before
            self._pending.append(self._step(accumulated))
            self.progress.step += 1
            step = self.progress.step
            is_logged = step % self.options.log_every == 0 or step == stop
            if is_logged:
                losses = self._read_losses()
                seconds = (time.perf_counter() - began) / (step - since)
                speed = {"step_time": seconds, "data_time": waited / (step - since)}
                observer.logged(step, losses, speed)
                waited, began, since = 0.0, time.perf_counter(), step
            if (is_logged or self.fabric.world_size == 1) and interrupted():
                break
        self._share_buffers()

    def _share_buffers(self) -> None:
        """Give all processes the running statistics of the first, which are those that are saved.

        While they train, that happens before each forward pass (of distributed data parallel); after the last one
        each has its own, and would score its cases by them.
        """
        if self.fabric.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def _step(self, batches: list[Batch]) -> Tensor:
        """One optimizer step on the gradient that the batches of all processes have as one.

        Returns:
            The loss, its parts and the gradient norm, the same on all processes.
        """
        step, options = self.progress.step, self.options
        if self._frozen.changes_at(step):
            self._frozen.set_modes(step)
        torch.manual_seed(derive_seed(self.seed, "step", step, self.fabric.global_rank))
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak_rate * group["lr_scale"] * rate_factor(options.schedule, step, options.steps)
        processes, is_whole = self.fabric.world_size, len(batches) * self.fabric.world_size == 1
        sums = torch.zeros((), device=self.fabric.device)  # of the weighted losses, and of the weights
        for number, batch in enumerate(batches, start=1):
            placed = batch.to(self.fabric.device, self.memory_format)
            with self.fabric.no_backward_sync(self.forward, enabled=number < len(batches)):
                mixed, target = self.model.head.mix(placed)
                losses = dict(self.model.head.loss(self.forward(mixed), target))
                weight = losses.pop("weight", sums.new_full((), len(mixed)))
                weight = torch.ones_like(weight) if is_whole else weight.detach()
                self.fabric.backward(losses["loss"] * weight)
            separate_gradients(self._trained)
            self._loss_names = list(losses)
            sums = sums + torch.stack([*(loss.detach() * weight for loss in losses.values()), weight])
        self._frozen.drop_gradients(step)
        if processes > 1:
            torch.distributed.all_reduce(sums)
        if not is_whole:
            scale_gradients(self._trained, processes / sums[-1])  # they are the mean over processes
        means = sums[:-1] / sums[-1]
        norm = torch.nn.utils.clip_grad_norm_(self._trained, options.clip_norm or math.inf)
        self._refuse_unless_finite(means[0] + norm)
        self.fabric_optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update()
        return torch.cat([means, norm.reshape(1)])

    def _refuse_unless_finite(self, value: Tensor) -> None:
        torch.maximum(self._not_finite, (~torch.isfinite(value)).float(), out=self._not_finite)

    def _read_losses(self) -> dict[str, float]:
        """Mean of the pending steps' values: the one place where the host waits for the device."""
        self._stop_if_refused()
        means = torch.stack(self._pending).double().mean(dim=0).tolist()
        self._pending = []
        names = [*map(_loss_figure, self._loss_names), "grad_norm"]
        return dict(zip(names, means, strict=True)) | {
            "lr": max(float(group["lr"]) for group in self.optimizer.param_groups)
        }

    def _stop_if_refused(self) -> None:
        if not self._not_finite.item():
            return
        finite = [bool(torch.isfinite(row).all()) for row in self._pending]
        at = self.progress.step - len(finite) + 1 + finite.index(False)
        raise NumericError(
            f"the loss or a gradient of step {at} is not finite; that step and later ones were refused",
            hint=f"{_CALMER}; `platform check` looks for NaN in the data",
        )

    def observe_validation(self, value: float) -> None:
        """Take note of the validation figure of the current step, higher is better; only a finite one can be best."""
        progress = self.progress
        progress.validated_step = progress.step
        if not math.isfinite(value):
            logger.warning("the figure that chooses the best weights is not defined for step %d", progress.step)
        elif progress.best_value is None or value > progress.best_value:
            progress.best_step, progress.best_value = progress.step, value

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block the model has its averaged weights, where the recipe asks for an average."""
        return self.average.applied() if self.average else nullcontext()

    def save(self, folder: Path, observer: TrainingObserver) -> None:
        """Write a checkpoint of the current step and drop those no longer needed; all ranks wait for it.

        Raises:
            NumericError: as `fit`, or the step made something that is not finite; nothing is saved then.
            ResourceError: the disk is full; earlier checkpoints are intact.
        """
        self._stop_if_refused()
        progress, checkpoint = self.progress, self._checkpoint()
        self._refuse_to_keep(checkpoint)
        if self.fabric.is_global_zero:
            path = save_checkpoint(folder, progress.step, checkpoint)
            prune_checkpoints(folder, self.options.keep_checkpoints, progress.best_step)
            observer.saved(path, progress.step, progress.step == progress.best_step)
        self.fabric.barrier()

    def _refuse_to_keep(self, checkpoint: Checkpoint) -> None:
        """Stop where a finite gradient and a large rate made weights, statistics or averages that are not finite."""
        state = {f"{kind}/{name}": value for kind, group in checkpoint.tensors.items() for name, value in group.items()}
        if bad := [name for name in names_of_non_finite(state) if name not in self._constants]:
            raise NumericError(
                f"after step {self.progress.step}, {abridged(bad)} have values that are not finite; they are not saved",
                hint=_CALMER,
            )

    def _checkpoint(self) -> Checkpoint:
        tensors = {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        if self.average:
            tensors["ema"] = self.average.tensors()
        state: dict[str, Any] = {
            "progress": asdict(self.progress),
            "window": [row.tolist() for row in self._pending],
            "loss_names": self._loss_names,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }
        return Checkpoint(tensors=tensors, state=state)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it is damaged or belongs to another model.
        """
        checkpoint = load_checkpoint(path)
        state = checkpoint.state
        load_model_state(self.model, checkpoint.tensors["model"], path)
        restore_optimizer(self.optimizer, self.model, checkpoint.tensors["optimizer"])
        if self.average:
            self.average.restore(checkpoint.tensors["ema"])
        self.progress = TrainingProgress(**state["progress"])
        self._loss_names = state["loss_names"]
        self._pending = [torch.tensor(row, device=self.fabric.device) for row in state["window"]]


def _loss_figure(name: str) -> str:
    """What a loss is logged as: its parts ``loss_dice``, as ``dice`` is a score, of which more is better."""
    return name if name.startswith("loss") else f"loss_{name}"
