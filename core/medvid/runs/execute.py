"""`platform run`: check, build, train, evaluate, report."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from logging.handlers import MemoryHandler
from typing import cast

import torch
from lightning_fabric import Fabric

from medvid.config.compatibility import check_compatible, check_weights_exist
from medvid.config.load import dump_task, with_absolute_paths
from medvid.config.task import Task
from medvid.data.sample import Batch
from medvid.data.splits import cases_of_run
from medvid.errors import DataError, Interrupted, ResourceError
from medvid.files import read_json, write_json
from medvid.models.build import load_published_weights
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host
from medvid.runs.closing import close_evaluation
from medvid.runs.folder import RunFolder, keep_log, log_to, rewind_metrics
from medvid.runs.processes import first_speaks
from medvid.runs.report import Report, describe_run
from medvid.runs.session import Session, generate_sample, open_session
from medvid.tracking.environment import check_environment
from medvid.training.batches import training_batches
from medvid.training.checkpoint import checkpoint_path, load_weights, newest_intact
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
    with keep_log() as log:
        generate_sample(task, host)
        task = task.model_copy(update={"dataset": task.dataset.filled()})
        for note in check_compatible(task, host):
            logger.info(note)
        check_weights_exist(task.backbone)
        session = open_session(task, host)
        cases = cases_of_run(session.dataset, task.evaluation.split)
    created = _new_folder(task, original) if session.fabric.is_global_zero else None
    folder = cast(RunFolder, session.fabric.broadcast(created))
    with _recorded(folder, session.fabric, log):
        _Execution(session, folder, cases).run()
    return folder


def resume_run(folder: RunFolder, task: Task, host: Host) -> RunFolder:
    """Go on with a run from its newest intact checkpoint, to the same result as if it had never stopped."""
    with keep_log() as log:
        generate_sample(task, host)
        session = open_session(task, host)
        cases = cases_of_run(session.dataset, task.evaluation.split)
    with _recorded(folder, session.fabric, log):
        _Execution(session, folder, cases).run()
    return folder


def _new_folder(task: Task, original: str) -> RunFolder:
    label = f"{task.backbone.name}-s{task.seed}" + ("-sample" if task.sample else "")
    folder = RunFolder.create(task.output, task.name, label)
    folder.original.write_text(original)
    folder.resolved.write_text(dump_task(task))
    return folder


@contextmanager
def _recorded(folder: RunFolder, fabric: Fabric, log: MemoryHandler) -> Iterator[None]:
    """Hold the folder's lock, and keep a log in it, from what was logged before to the traceback of what ends it."""
    lock = folder.lock() if fabric.is_global_zero else nullcontext()
    with lock, log_to(folder.log_of(fabric.global_rank), log):
        try:
            yield
        except Interrupted as stop:
            logger.debug("%s", stop)
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

    def __init__(self, session: Session, folder: RunFolder, cases: Mapping[str, tuple[str, ...]]) -> None:
        self.session, self.folder, self.cases = session, folder, cases
        self.task, self.fabric = session.task, session.fabric
        self.checkpoint = newest_intact(folder.checkpoints)
        self.stop = StopSignal()
        self.report = Report(session, folder, describe_run(session, folder, self.checkpoint))

    def run(self) -> None:
        if self.fabric.is_global_zero:
            self._compare_environment()
        self.report.configured()
        try:
            with self.stop, first_speaks(self.fabric, self.folder):
                self._prepare()
                trainer = self._build()
                self.report.started()
                self._train(trainer)
                closing = self._close(trainer)
        except BaseException as error:
            self.report.failed(error)
            raise
        self.report.finished(closing)

    def _compare_environment(self) -> None:
        """Tell in what a resumed run goes on with other software, and keep beside it what the run began with.

        Before anything of the run is touched, as it may be refused.
        """
        path = self.folder.environment
        began = read_json(path)
        if began and (differences := check_environment(began, self.report.info.environment)):
            for line in differences:
                logger.warning("%s: the rest need not have the bits of an uninterrupted run", line)
            write_json(path.with_stem(f"{path.stem}-until-{self.report.info.start_step}"), began)

    def _prepare(self) -> None:
        """Prepare the data once, and make sure that a resumed run sees the data it began with."""
        dataset = self.session.dataset
        if self.fabric.is_global_zero:
            both = tuple(dict.fromkeys(case for cases in self.cases.values() for case in cases))
            dataset.prepare(both, self.report.progress("prepare"))
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
            write_json(self.folder.environment, self.report.info.environment)
            self.report.prepared(found)
        self.fabric.barrier()

    def _build(self) -> Trainer:
        task, model = self.task, self.session.model
        for imported in [] if self.checkpoint else load_published_weights(model, task, self.session.host):
            logger.info("%s", imported)
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
        self.report.progress("train")(progress.step, options.steps)
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
                trainer.save(self.folder.checkpoints, self.report)
            self._stop_if_asked(progress.step)
            if progress.step == options.steps:
                return
            trainer.fit(batches, self._next_boundary(progress.step), self.report, self._agreed_signal)
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
                progress=self.report.progress("evaluate"),
                interrupted=self._received,
            )
        if self._agreed_signal():
            return
        summary = self.session.evaluator.summarise(rows)
        trainer.observe_validation(summary.metrics[self.session.evaluator.monitor])
        self.report.validated(
            Evaluation(split=split, step=step, final=False, metrics=summary.metrics, rows=tuple(rows))
        )

    def _close(self, trainer: Trainer) -> Evaluation:
        """Evaluate the chosen weights in full and write the report."""
        best = trainer.progress.best_step if self.task.evaluation.checkpoint == "best" else None
        step = trainer.progress.step if best is None else best
        load_weights(trainer.model, checkpoint_path(self.folder.checkpoints, step))
        closing = close_evaluation(
            self.session, trainer.model, step, self.folder.path, self.report.progress("evaluate"), self._received
        )
        self._stop_if_asked(trainer.progress.step)
        self.report.evaluated(closing)
        return closing

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
