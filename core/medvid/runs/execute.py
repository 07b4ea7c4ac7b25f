"""`platform run`: check, build, train, evaluate, report."""

import logging
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric

from medvid.config.compatibility import check_compatible
from medvid.config.components import components_of
from medvid.config.load import dump_task, with_absolute_paths
from medvid.config.task import Task
from medvid.data.dataset import Progress
from medvid.data.sample import Batch
from medvid.errors import DataError, Interrupted, ResourceError
from medvid.models.build import load_published_weights
from medvid.plugin.events import Evaluation, RunInfo, RunResult, RunStatus
from medvid.plugin.host import Host
from medvid.runs.closing import close_evaluation
from medvid.runs.folder import RunFolder, append_metrics, log_to, read_json, rewind_metrics, write_json
from medvid.runs.processes import first_speaks
from medvid.runs.session import Session, generate_sample, open_session
from medvid.tracking.environment import describe_environment
from medvid.tracking.mlflow import run_id
from medvid.training.batches import training_batches
from medvid.training.checkpoint import (
    checkpoint_path,
    checkpoint_step,
    checkpoints,
    load_weights,
    newest_intact,
    read_best,
)
from medvid.training.device import describe_device
from medvid.training.evaluate import evaluate_cases
from medvid.training.loop import Trainer, TrainingProgress
from medvid.training.signals import StopSignal
from medvid.training.unreadable import UnreadableCases

logger = logging.getLogger("medvid")


def run_task(task: Task, host: Host, original: str) -> RunFolder:
    """Run a task in a new run folder.

    Args:
        task: resolved.
        host: the plugins.
        original: text of the task file.

    Raises:
        MedvidError: what stopped the run; the folder says how far it came.
    """
    task = with_absolute_paths(task)
    generate_sample(task, host)
    task = task.model_copy(update={"dataset": task.dataset.filled()})
    notes = check_compatible(task, host)
    session = open_session(task, host)
    created = _new_folder(task, original) if session.fabric.is_global_zero else None
    folder = cast(RunFolder, session.fabric.broadcast(created))
    with _recorded(folder, session.fabric):
        for note in notes:
            logger.info(note)
        _Execution(session, folder).run()
    return folder


def resume_run(folder: RunFolder, task: Task, host: Host) -> RunFolder:
    """Go on with a run from its newest intact checkpoint, to the same result as if it had never stopped."""
    generate_sample(task, host)
    session = open_session(task, host)
    with _recorded(folder, session.fabric):
        _Execution(session, folder).run()
    return folder


def _new_folder(task: Task, original: str) -> RunFolder:
    label = f"{task.backbone.name}-s{task.seed}" + ("-sample" if task.sample else "")
    folder = RunFolder.create(task.output, task.name, label)
    folder.original.write_text(original)
    folder.resolved.write_text(dump_task(task))
    return folder


@contextmanager
def _recorded(folder: RunFolder, fabric: Fabric) -> Iterator[None]:
    """Hold the folder's lock, and keep a log in it, with the traceback of what ends the run."""
    lock = folder.lock() if fabric.is_global_zero else nullcontext()
    with lock, log_to(folder.log_of(fabric.global_rank)):
        try:
            yield
        except Interrupted as stop:
            logger.info("%s", stop)
            raise
        except BaseException as error:
            logger.debug("the run failed", exc_info=True)
            if isinstance(error, MemoryError | torch.OutOfMemoryError):
                raise ResourceError(
                    f"out of memory: {(str(error) or 'no details').splitlines()[0]}",
                    hint="try a smaller train.batch_size with train.accumulate, a smaller patch, train.precision=bf16, "
                    "or a smaller evaluation.window_batch; the last checkpoint is intact",
                ) from error
            raise


class _Execution:
    """One execution of a run, from its start or from a checkpoint."""

    def __init__(self, session: Session, folder: RunFolder) -> None:
        self.session, self.folder = session, folder
        self.task, self.host, self.fabric = session.task, session.host, session.fabric
        self.cases = {
            "train": session.dataset.cases("train"),
            self.task.evaluation.split: session.dataset.cases(self.task.evaluation.split),
        }
        self.checkpoint = newest_intact(folder.checkpoints)
        self.stop = StopSignal()
        self.began = time.monotonic()
        self.info = self._describe()

    def run(self) -> None:
        if self.fabric.is_global_zero:
            self.host.veto(self.info)
        try:
            with self.stop, first_speaks(self.fabric, self.folder):
                self._prepare()
                trainer = self._build()
                self._notify("medvid_run_started")
                self._train(trainer)
                closing = self._close(trainer)
        except BaseException as error:
            self._failed(error)
            raise
        self._finished(closing)

    def _describe(self) -> RunInfo:
        task = self.task
        used = self.host.used_by(components_of(task, self.host))
        plugins = {plugin.distribution: plugin.version for plugin in used}
        unverified = tuple(dict.fromkeys(plugin.distribution for plugin in used if plugin.editable))
        return RunInfo(
            name=self.folder.name,
            task=task.name,
            folder=self.folder.path,
            config=task.model_dump(mode="json"),
            seed=task.seed,
            sample=task.sample is not None,
            start_step=checkpoint_step(self.checkpoint) if self.checkpoint else 0,
            steps=task.train.steps,
            device=describe_device(self.fabric),
            plugins=plugins,
            environment=describe_environment(plugins, unverified),
            datasets={},
            unverified=unverified,
        )

    def _prepare(self) -> None:
        """Prepare the data once, and make sure that a resumed run sees the data it began with."""
        dataset = self.session.dataset
        if self.fabric.is_global_zero:
            both = tuple(dict.fromkeys(case for cases in self.cases.values() for case in cases))
            dataset.prepare(both, self._progress("prepare"))
            found = {
                split: {"name": self.task.dataset.name, "cases": len(cases), "digest": dataset.digest(cases)}
                for split, cases in self.cases.items()
            }
            known = read_json(self.folder.data)
            if known and known != found:
                raise DataError(
                    f"the data changed since the run began: {known} then, {found} now",
                    hint="start a new run on the new data: platform run TASK.yaml",
                )
            write_json(self.folder.data, found)
            write_json(self.folder.environment, self.info.environment)
            self.info = replace(self.info, datasets=found)
        self.fabric.barrier()

    def _build(self) -> Trainer:
        task, model = self.task, self.session.model
        for report in [] if self.checkpoint else load_published_weights(model, task, self.host):
            logger.info("%s", report)
        axes = len(self.session.dataset.input_info.size)
        trainer = Trainer(self.fabric, model, task.train, task.seed, axes)
        if self.checkpoint:
            trainer.restore(self.checkpoint)
            logger.info("going on from %s", self.checkpoint.name)
        if self.fabric.is_global_zero:
            rewind_metrics(self.folder.metrics, trainer.progress.step)
        return trainer

    def _train(self, trainer: Trainer) -> None:
        options, progress = self.task.train, trainer.progress
        batches = training_batches(
            self.session.dataset,
            self.cases["train"],
            seed=self.task.seed,
            batch_size=options.batch_size,
            first=progress.step * options.accumulate,
            stop=options.steps * options.accumulate,
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
            workers=options.workers,
            timeout=options.load_timeout,
            pin_memory=self.fabric.device.type == "cuda",
            unreadable=UnreadableCases(
                self.folder.unreadable(self.fabric.global_rank), len(self.cases["train"]), options.max_unreadable
            ),
        )
        self._progress("train")(progress.step, options.steps)
        with closing(batches):  # also where an error is kept that would keep the loader processes alive
            self._alternate(trainer, batches)

    def _alternate(self, trainer: Trainer, batches: Iterator[Batch]) -> None:
        """Train up to the next boundary, validate, save, and so on to the end."""
        options, progress = self.task.train, trainer.progress
        changed = False
        while True:
            if self._validation_due(progress):
                self._validate(trainer)
                changed = True
            if changed:
                trainer.save(self.folder.checkpoints, self)
            self._stop_if_asked(progress.step)
            if progress.step == options.steps:
                return
            trainer.fit(batches, self._next_boundary(progress.step), self, self._agreed_signal)
            changed = True

    def _next_boundary(self, step: int) -> int:
        """The next step at which something has to be saved or validated."""
        options, every = self.task.train, self.task.evaluation.every
        periods = [period for period in (every, options.checkpoint_every) if period]
        return min([options.steps, *(step - step % period + period for period in periods)])

    def _validation_due(self, progress: TrainingProgress) -> bool:
        every = self.task.evaluation.every
        if not every or progress.step in (0, progress.validated_step):
            return False
        return progress.step % every == 0 or progress.step == self.task.train.steps

    def _validate(self, trainer: Trainer) -> None:
        """Score the validation cases; a signal in the midst of it leaves it to be done again on resuming."""
        split, step = self.task.evaluation.split, trainer.progress.step
        with trainer.averaged():
            rows = evaluate_cases(
                self.fabric,
                trainer.model,
                self.session.evaluator,
                self.session.dataset,
                self.cases[split],
                final=False,
                folder=self.folder.path,
                workers=self.task.train.workers,
                timeout=self.task.train.load_timeout,
                progress=self._progress("evaluate"),
                interrupted=self._received,
            )
        if self._agreed_signal():
            return
        summary = self.session.evaluator.summarise(rows)
        trainer.observe_validation(summary.metrics[self.session.evaluator.monitor])
        self._record(step, split, summary.metrics)
        self._notify(
            "medvid_evaluated",
            evaluation=Evaluation(split=split, step=step, final=False, metrics=summary.metrics, rows=tuple(rows)),
        )

    def _close(self, trainer: Trainer) -> Evaluation:
        """Evaluate the chosen weights in full and write the report."""
        best = trainer.progress.best_step if self.task.evaluation.checkpoint == "best" else None
        step = trainer.progress.step if best is None else best
        load_weights(trainer.model, checkpoint_path(self.folder.checkpoints, step))
        closing = close_evaluation(
            self.session, trainer.model, step, self.folder.path, self._progress("evaluate"), self._received
        )
        self._stop_if_asked(trainer.progress.step)
        self._notify("medvid_evaluated", evaluation=closing)
        return closing

    def _finished(self, evaluation: Evaluation) -> None:
        result = self._result("finished", evaluation.metrics)
        self._summarise(result, step=evaluation.step, notes=evaluation.notes)
        self._notify("medvid_run_finished", result=result)

    def _failed(self, error: BaseException) -> None:
        result = self._result("killed" if isinstance(error, Interrupted) else "failed", {})
        self._summarise(result, error=f"{type(error).__name__}: {error}")
        self._notify("medvid_run_failed", result=result, error=error)

    def _result(self, status: RunStatus, metrics: Mapping[str, float]) -> RunResult:
        saved = list(checkpoints(self.folder.checkpoints))
        best = read_best(saved[-1]) if saved else None
        return RunResult(
            status=status,
            seconds=time.monotonic() - self.began,
            metrics=metrics,
            best=checkpoint_path(self.folder.checkpoints, best) if best is not None else None,
            last=saved[-1] if saved else None,
        )

    def _summarise(self, result: RunResult, **more: Any) -> None:
        if not self.fabric.is_global_zero:
            return
        write_json(
            self.folder.summary,
            {
                "status": result.status,
                "task": self.task.name,
                "run": self.folder.name,
                "data": "sample" if self.task.sample else "real",
                "metrics": {name: None if math.isnan(value) else value for name, value in result.metrics.items()},
                "best": result.best and str(result.best.relative_to(self.folder.path)),
                "last": result.last and str(result.last.relative_to(self.folder.path)),
                "seconds": round(result.seconds, 1),
                "device": self.info.device,
                "versions": self.info.environment["versions"],
                "plugins": dict(self.info.plugins),
                "unverified_plugins": list(self.info.unverified),
                "mlflow_run_id": run_id(self.folder.path),
                **more,
            },
        )

    # What the training loop tells (see TrainingObserver).

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        self._record(step, "train", losses)
        self._record(step, "perf", speed)
        self._progress("train", losses | speed)(step, self.task.train.steps)

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        self._notify("medvid_checkpoint_saved", path=path, step=step, is_best=is_best)

    def _record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        if self.fabric.is_global_zero:
            append_metrics(self.folder.metrics, step, split, values)
            self._notify("medvid_metrics", split=split, step=step, values=values)

    def _progress(self, stage: str, values: Mapping[str, float] | None = None) -> Progress:
        return lambda done, total: self._notify(
            "medvid_progress", stage=stage, done=done, total=total, values=values or {}
        )

    def _notify(self, hook: str, **arguments: Any) -> None:
        if self.fabric.is_global_zero:
            self.host.notify(hook, run=self.info, **arguments)

    def _received(self) -> bool:
        return self.stop.received != 0

    def _agreed_signal(self) -> int:
        """The signal by which any process was asked to stop, or 0; all processes ask together, and get one answer."""
        received = self.stop.received
        if self.fabric.world_size > 1:
            asked = torch.tensor(received, device=self.fabric.device)
            received = int(cast(torch.Tensor, self.fabric.all_reduce(asked, reduce_op="max")))
        return received

    def _stop_if_asked(self, step: int) -> None:
        number = self._agreed_signal()
        if not number:
            return
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}; step {step} of {self.task.train.steps} is saved",
            signal_number=number,
            hint=f"go on with: platform run --resume {self.folder.path}",
        )
