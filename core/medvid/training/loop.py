"""The training loop, in the order in which it runs: train to the next boundary, validate, save; and what a step is.

Observers are told; nothing can change it from outside.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.data.transform import Transform, apply
from medvid.devices.memory_format import CHANNELS_LAST
from medvid.devices.precision import precision_of
from medvid.devices.waiting import from_first, wait_for_all
from medvid.errors import NumericError
from medvid.models.finite import names_of_non_finite
from medvid.models.model import Model
from medvid.plugin.specs import Build
from medvid.seeding import derive_seed
from medvid.sentences import listed
from medvid.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_model_state,
    prune_checkpoints,
    save_checkpoint,
)
from medvid.training.ema import WeightAverage
from medvid.training.freeze import Frozen
from medvid.training.losses import Losses
from medvid.training.memory import checkpoint_layers
from medvid.training.optim import (
    build_optimizer,
    log_rate,
    optimizer_tensors,
    restore_optimizer,
    scaled_rate,
    take_step,
)
from medvid.training.parts import (
    broadcast,
    clip_gradients,
    own_gradients,
    scale_gradients,
    separate_gradients,
    warn_of_partial_statistics,
)
from medvid.training.progress import TrainingObserver, TrainingProgress
from medvid.training.replicas import expect_gradients
from medvid.training.scaling import SMALLEST, LossScale
from medvid.training.schedule import rate_factor
from medvid.training.shares import Shares
from medvid.training.step_log import ADVICE, StepLog
from medvid.training.stopping import StopRequest
from medvid.training.sync_norm import synchronise_norms


class Trainer:
    """Optimizes a model step by step, and can save and restore everything that the next step depends on.

    Every random number of a step is drawn from a seed made of the run's seed, the step and the rank, so there is no
    random state to save, and a resumed training equals an uninterrupted one bit for bit; on GPUs where
    `TrainOptions.deterministic` is on.

    Args:
        fabric: launched; places the model on its device.
        model: freshly built (and perhaps with published weights); its head owns the loss.
        options: the training recipe.
        seed: the run's seed.
        spatial_axes: 2 for images, 3 for volumes and videos; chooses the batches' channels-last format.
        build: makes the optimizer that the recipe names, see `medvid.plugin.host.Host.build`.
        transforms: random changes of batches on their device.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: Model,
        options: TrainOptions,
        seed: int,
        spatial_axes: int,
        build: Build,
        transforms: Sequence[Transform] = (),
    ) -> None:
        self.fabric, self.options, self.seed = fabric, options, seed
        self.memory_format = CHANNELS_LAST[2 + spatial_axes] if options.channels_last else torch.contiguous_format
        self._transforms = transforms
        self.model = model.to(fabric.device)
        fabric.strategy.precision.convert_module(self.model)
        self._frozen = Frozen(self.model, options)
        self._trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if options.sync_batchnorm and fabric.world_size > 1:
            synchronise_norms(self.model)
        self.optimizer = build_optimizer(self.model, options, build)
        self.peak_rate = scaled_rate(options, fabric.world_size)
        log_rate(options, fabric.world_size)
        if options.gradient_checkpointing:
            checkpoint_layers(self.model.backbone)
        self.losses = Losses(fabric, self.model, options)
        self._scale = LossScale(fabric.device) if precision_of(fabric) == "fp16" else None
        # Such as masks with -inf; loaded weights are finite.
        self._constants = frozenset(f"model/{name}" for name in names_of_non_finite(dict(model.named_buffers())))
        self.average = WeightAverage(self.model, options.ema) if options.ema else None
        self.progress = TrainingProgress()
        self.log = StepLog(fabric.device, self._scale)
        self._frozen.set_modes(self.progress.step)
        warn_of_partial_statistics(self.model, options, fabric.world_size)

    def train(
        self,
        batches: Iterator[Batch],
        *,
        every: int | None,
        validate: Callable[[], float | None],
        folder: Path,
        observer: TrainingObserver,
        stop: StopRequest,
        smooth: float = 0.0,
        unsaved: bool = False,
    ) -> None:
        """Train to the next boundary, validate and save there, and so on until the training is over and saved.

        Args:
            batches: of this process, from the current step on.
            every: steps between validations; None: never.
            validate: gives the figure of the current weights, higher is better; None if a signal ended it early: it is
                then done again by whoever resumes the training.
            folder: of the checkpoints.
            observer: told of losses and checkpoints.
            stop: what ends the training early, at a step that is saved.
            smooth: see `medvid.training.progress.TrainingProgress.observe_validation`.
            unsaved: whether there is something to save before the first step.

        Raises:
            Interrupted: by `stop`.
            NumericError: as `fit` and `save`.
        """
        progress, steps, early = self.progress, self.options.steps, self.options.stop_early
        while True:
            if self._validation_is_due(every):
                figure = validate()
                if figure is not None:
                    progress.observe_validation(from_first(figure), smooth, early.min_delta if early else 0.0)
                unsaved = True
            if unsaved:
                self.save(folder, observer)
            stop.stop_if_asked(progress.step)
            if progress.step == steps or self.is_over_early:
                return
            self.fit(batches, self._next_boundary(every), observer, stop.agreed)
            unsaved = True

    @property
    def is_over_early(self) -> bool:
        """Whether the training is over before its last step, see `medvid.config.task.StopEarly`."""
        early, progress = self.options.stop_early, self.progress
        return early is not None and progress.step < self.options.steps and progress.stale >= early.patience

    def _validation_is_due(self, every: int | None) -> bool:
        progress = self.progress
        if not every or progress.step in (0, progress.validated_step):
            return False
        return progress.step % every == 0 or progress.step == self.options.steps

    def _next_boundary(self, every: int | None) -> int:
        """The next step at which something has to be saved or validated."""
        step, periods = self.progress.step, filter(None, (every, self.options.checkpoint_every))
        return min([self.options.steps, *(step - step % period + period for period in periods)])

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
        self._frozen.set_modes(self.progress.step)
        waited, began, since = 0.0, time.perf_counter(), self.progress.step
        while self.progress.step < stop:
            before = time.perf_counter()
            accumulated = [next(batches) for _ in range(self.options.accumulate)]
            waited += time.perf_counter() - before
            self.step(accumulated)
            step = self.progress.step
            is_logged = step % self.options.log_every == 0 or step == stop
            if is_logged:
                losses = self.log.read(step) | {"lr": max(float(group["lr"]) for group in self.optimizer.param_groups)}
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
            broadcast(self.model.buffers())

    def step(self, batches: list[Batch]) -> None:
        """Take one optimizer step on the gradient that the batches of all processes have as one."""
        step, options = self.progress.step, self.options
        if self._frozen.changes_at(step):
            self._frozen.set_modes(step)
        torch.manual_seed(derive_seed(self.seed, "step", step, self.fabric.global_rank))
        changes = torch.Generator().manual_seed(derive_seed(self.seed, "changes", step, self.fabric.global_rank))
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak_rate * group["lr_scale"] * rate_factor(options.schedule, step, options.steps)
        processes, is_whole = self.fabric.world_size, len(batches) * self.fabric.world_size == 1
        sums = torch.zeros((), device=self.fabric.device)  # of the weighted losses, and of the weights
        for number, batch in enumerate(batches, start=1):
            with nullcontext() if number == len(batches) else self.losses.unsynchronised():
                sums = sums + self._add_gradients(batch, changes, is_whole=is_whole)
            if self.losses.in_graphs and number < len(batches):
                own_gradients(self._trained)
        expect_gradients(self.fabric, self.model, self._trained)
        self._frozen.drop_gradients(step)
        if processes > 1:
            torch.distributed.all_reduce(sums)
        weight = sums[-1].where(sums[-1] > 0, 1)  # 0 where nothing in the batch is annotated: then nothing is learnt
        factor = processes / weight  # gradients are the mean over processes
        if self._scale:
            factor = factor / self._scale.value
        if self._scale or not is_whole:
            scale_gradients(self._trained, factor)
        means = sums[:-1] / weight
        norm = clip_gradients(self._trained, options.clip_norm)
        self.log.rows.append(self._apply(means, norm))
        self.optimizer.zero_grad()
        self.progress.step += 1

    def _add_gradients(self, batch: Batch, changes: torch.Generator, *, is_whole: bool) -> Tensor:
        """Add the gradients of the weighted and perhaps scaled loss of a batch to those that there are.

        Returns:
            The weighted losses, and last the weight.
        """
        mixed, target = self.model.head.mix(self._changed(batch.to(self.fabric.device, self.memory_format), changes))
        losses = self.losses(mixed, target)
        weight = losses.pop("weight", self.log.refused.new_full((), len(mixed)))
        weight = torch.ones_like(weight) if is_whole else weight
        torch.autograd.backward(losses["loss"] * (weight * self._scale.value if self._scale else weight))
        separate_gradients(self._trained)
        self.log.loss_names = list(losses)
        return torch.stack([*(loss.detach() * weight for loss in losses.values()), weight])

    def _changed(self, batch: Batch, changes: torch.Generator) -> Batch:
        if not self._transforms:
            return batch
        changed = apply(self._transforms, batch, changes)
        return replace(changed, input=changed.input.to(memory_format=self.memory_format))

    def _apply(self, means: Tensor, norm: Tensor) -> Tensor:
        """Step along the gradients, unless they or the losses forbid it, and let the average follow.

        Returns:
            What is logged: the losses, the gradient norm, and the scale of the loss where there is one.
        """
        if self._scale is None:
            self.log.refuse(~torch.isfinite(means[0] + norm))
            take_step(self.optimizer, self.log.refused)
            if self.average:
                self.average.update()
            return torch.cat([means, norm.reshape(1)])
        overflowed = ~torch.isfinite(norm)
        self._scale.update(overflowed.float())
        self.log.refuse(~torch.isfinite(means[0]) | (self._scale.value < SMALLEST))
        skipped = torch.maximum(self.log.refused, overflowed.float())
        take_step(self.optimizer, skipped)
        if self.average:
            self.average.update(skipped)
        return torch.cat([means, torch.stack([norm.masked_fill(overflowed, math.nan), self._scale.value])])

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block the model has its averaged weights, where the recipe asks for an average."""
        return self.average.applied() if self.average else nullcontext()

    def save(self, folder: Path, observer: TrainingObserver) -> None:
        """Write a checkpoint of the current step and drop those no longer needed; all ranks wait for it.

        Raises:
            NumericError: as `fit`, or the step made something that is not finite; nothing is saved then.
            ResourceError: the disk is full; earlier checkpoints are intact.
        """
        self.log.stop_if_refused(self.progress.step)
        progress, checkpoint = self.progress, self._checkpoint()
        self._refuse_to_keep(checkpoint)
        if self.fabric.is_global_zero:
            path = save_checkpoint(folder, progress.step, checkpoint)
            prune_checkpoints(folder, self.options.keep_checkpoints, progress.best_step)
            observer.saved(path, progress.step, progress.step == progress.best_step)
        wait_for_all()

    def _refuse_to_keep(self, checkpoint: Checkpoint) -> None:
        """Stop where a finite gradient and a large rate made weights, statistics or averages that are not finite."""
        state = {f"{kind}/{name}": value for kind, group in checkpoint.tensors.items() for name, value in group.items()}
        if bad := [name for name in names_of_non_finite(state) if name not in self._constants]:
            raise NumericError(
                f"after step {self.progress.step}, {listed(bad, 3)} have non-finite values; they are not saved",
                hint=ADVICE,
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
            **self.log.state(),
            "loss_scale": self._scale.state() if self._scale else None,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "shares": Shares.of(self.options, self.fabric.world_size).state(),
        }
        return Checkpoint(tensors=tensors, state=state)

    def restore(self, path: Path, *, is_verified: bool = False) -> None:
        """Go on from a checkpoint.

        Args:
            path: of the checkpoint.
            is_verified: as for `medvid.training.checkpoint.load_checkpoint`.

        Raises:
            CheckpointError: it is damaged or belongs to another model.
        """
        checkpoint = load_checkpoint(path, is_verified=is_verified)
        state = checkpoint.state
        load_model_state(self.model, checkpoint.tensors["model"], path)
        restore_optimizer(self.optimizer, self.model, checkpoint.tensors["optimizer"])
        if self.average:
            self.average.restore(checkpoint.tensors["ema"])
        self.progress = TrainingProgress(**state["progress"])
        self.log.restore(state)
        if self._scale and state.get("loss_scale"):
            self._scale.restore(state["loss_scale"])
