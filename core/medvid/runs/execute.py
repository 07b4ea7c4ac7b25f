"""`platform run`: check, build, train, evaluate, report."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from logging.handlers import MemoryHandler
from typing import cast

import torch

from medvid.config.compatibility import check_compatible, check_weights_exist
from medvid.config.load import dump_task, with_absolute_paths
from medvid.config.task import Task
from medvid.data.sample import Batch
from medvid.data.splits import cases_of_run, check_truth
from medvid.errors import DataError, Interrupted
from medvid.files import read_json, remove_drafts, write_json
from medvid.models.build import load_published_weights
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host
from medvid.runs.closing import close_evaluation
from medvid.runs.folder import RunFolder, keep_log, log_to, read_metrics, rewind_metrics
from medvid.runs.origin import Origin, check_cases, known_splits, membership_note, read_task, trained_note
from medvid.runs.processes import first_speaks
from medvid.runs.pseudonyms import check_key, pseudonyms_of
from medvid.runs.report import Report, describe_run
from medvid.runs.session import Session, generate_sample, open_session
from medvid.runs.space import check_space
from medvid.scarcity import scarcity_named
from medvid.tracking.environment import check_plugins, compare_environments
from medvid.training.batches import training_batches
from medvid.training.checkpoint import (
    checkpoint_path,
    checkpoint_step,
    checkpoints,
    is_intact,
    load_weights,
    newest_intact,
    tidy_checkpoints,
)
from medvid.training.evaluate import evaluate_cases
from medvid.training.loop import Trainer, TrainingProgress
from medvid.training.signals import StopSignal
from medvid.training.unreadable import UnreadableCases

logger = logging.getLogger("medvid")


def run_task(task: Task, host: Host, original: str) -> RunFolder:
    """Run a task in a new run folder, which is made when everything up to the first step has passed.

    Args:
        task: resolved.
        host: the plugins.
        original: text of the task file.

    Raises:
        MedvidError: what stopped the run; the folder, if there is one, says how far it came.
    """
    task = with_absolute_paths(task)
    with pseudonyms_of(task) as pseudonyms, keep_log() as log:
        generate_sample(task, host)
        task = task.model_copy(update={"dataset": task.dataset.filled()})
        for note in check_compatible(task, host):
            logger.info(note)
        check_weights_exist(task.backbone)
        session = open_session(task, host, pseudonyms=pseudonyms)
        label = f"{task.backbone.name}-s{task.seed}" + ("-sample" if task.sample else "")
        folder = session.fabric.broadcast(RunFolder.propose(task.output, task.name, label))
        _Execution(session, folder, cases_of_run(session.dataset, task.evaluation.split)).run(log, original)
    return folder


def resume_run(folder: RunFolder, task: Task, host: Host, origin: Origin) -> RunFolder:
    """Go on with a run from its newest intact checkpoint, to the same result as if it had never stopped.

    What is refused leaves the folder as it was, byte for byte.

    Args:
        folder: of the run.
        task: as the run began with it, see `medvid.runs.origin.check_task`.
        host: the plugins.
        origin: what the run began with.

    Raises:
        MedvidError: what stopped the run.
    """
    with pseudonyms_of(task) as pseudonyms, keep_log() as log:
        check_key(pseudonyms, origin.pseudonyms)
        generate_sample(task, host)
        session = open_session(task, host, pseudonyms=pseudonyms)
        with folder.lock() if session.fabric.is_global_zero else nullcontext():
            cases = {split: origin.cases(split) for split in dict.fromkeys(("train", task.evaluation.split))}
            if note := membership_note(session.dataset, origin, cases):
                logger.warning(note)
            session.dataset.fix_splits(cases)
            _Execution(session, folder, cases, origin).run(log)
    return folder


class _Execution:
    """One execution of a run, from its start or from a checkpoint.

    Args:
        session: the task with its devices, data set and model.
        folder: of the run; not made yet for a new one, locked for one that is resumed.
        cases: ids of those that are trained on and evaluated, by split.
        origin: what a resumed run began with; None for a new one.
    """

    def __init__(
        self,
        session: Session,
        folder: RunFolder,
        cases: Mapping[str, tuple[str, ...]],
        origin: Origin | None = None,
    ) -> None:
        self.session, self.folder, self.cases = session, folder, cases
        self.task, self.fabric = session.task, session.fabric
        self.origin, self.is_new = origin, origin is None
        self.checkpoint = None if self.is_new else newest_intact(folder.checkpoints)
        self.stop = StopSignal()
        self.report = Report(session, folder, describe_run(session, folder, self.checkpoint))
        self.notes: list[str] = []

    def run(self, log: MemoryHandler, original: str = "") -> None:
        """Make everything ready, then begin: until then the folder is neither made nor changed.

        Args:
            log: what was logged so far.
            original: text of the task file, for a new run.
        """
        has_begun = False
        with ExitStack() as kept:
            self.report.configured()
            try:
                with (
                    self.stop,
                    first_speaks(self.fabric, self.folder),
                    scarcity_named(),
                    self.session.hidden_errors(),
                ):
                    self._prepare()
                    trainer = self._build()
                    self._stop_if_asked(None)
                    self._check_space(trainer)
                    self._begin(trainer, original)
                    kept.enter_context(self._recorded(log))
                    has_begun = True
                    self.report.started()
                    self._train(trainer)
                    closing = self._close(trainer)
            except BaseException as error:
                logger.debug("the run ended: %s", error, exc_info=not isinstance(error, Interrupted))
                self.report.failed(error, has_begun=has_begun)
                raise
            self.report.finished(closing)

    def _prepare(self) -> None:
        """Prepare the data, and make sure that a resumed run sees the data it began with."""
        dataset = self.session.dataset
        read_json(self.folder.unreadable(self.fabric.global_rank))  # which training goes on with: is it damaged?
        if self.fabric.is_global_zero:
            both = tuple(dict.fromkeys(case for cases in self.cases.values() for case in cases))
            if self.origin:
                check_plugins(self.origin.plugins, self.report.info.plugins)
            dataset.prepare(both, self.report.progress("prepare"))
            check_truth(dataset, self.cases[self.task.evaluation.split])
            if self.is_new:
                description = dataset.describe(self.cases["train"])
                key = self.session.pseudonyms.check_value if self.session.pseudonyms else ""
                splits = known_splits(dataset, self.cases)
                self.origin = Origin({}, self.report.info.plugins, splits, description, key)
            elif self.origin:
                known = {case: known for split in self.cases for case, known in self.origin.splits[split].items()}
                check_cases(dataset, known, "start a new run on the new data: platform run TASK.yaml")
            self.report.prepared(
                {
                    split: {"name": self.task.dataset.name, "cases": len(cases), "digest": dataset.digest(cases)}
                    for split, cases in self.cases.items()
                }
            )
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
            self._replace_lost_best(trainer.progress)
        return trainer

    def _replace_lost_best(self, progress: TrainingProgress) -> None:
        """Where the best checkpoint is damaged, let the best of those that are intact take its place, and say so."""
        lost = progress.best_step
        if lost is None or is_intact(checkpoint_path(self.folder.checkpoints, lost)):
            return
        split, monitor = self.task.evaluation.split, self.session.evaluator.monitor
        values = {
            record["step"]: record["values"].get(monitor)
            for record in read_metrics(self.folder.metrics)
            if record["split"] == split and record["step"] <= progress.step
        }
        intact = [checkpoint_step(path) for path in checkpoints(self.folder.checkpoints) if is_intact(path)]
        left = [(values[step], step) for step in intact if values.get(step) is not None]
        progress.best_value, progress.best_step = max(left, default=(None, None))
        instead = f"step {progress.best_step} takes its place" if left else "one to come takes its place"
        self.notes.append(
            f"the best checkpoint, of step {lost}, is damaged and lost: the best of the others, {instead}"
        )
        logger.warning(self.notes[-1])

    def _check_space(self, trainer: Trainer) -> None:
        """Refuse a run that the disk has no room for, before there is a folder of it."""
        if self.fabric.is_global_zero:
            evaluated = self.cases[self.task.evaluation.split]
            check_space(self.folder.path, self.task, trainer.model, self.session.dataset, evaluated)
        self.fabric.barrier()

    def _begin(self, trainer: Trainer, original: str) -> None:
        """Make the run's folder, or change that of a resumed one for the first time."""
        if self.fabric.is_global_zero:
            if self.is_new and self.origin:
                self.folder.create(original, dump_task(self.task))
                replace(self.origin, task=read_task(self.folder.resolved)).write(self.folder.origin)
            else:
                remove_drafts(self.folder.path)
                tidy_checkpoints(self.folder.checkpoints)
                self._compare_environment()
                rewind_metrics(self.folder.metrics, trainer.progress.step)
            if self.session.pseudonyms:
                self.session.pseudonyms.write_table(self.folder.path)
            write_json(self.folder.data, self.report.info.datasets)
            write_json(self.folder.environment, self.report.info.environment)
        self.fabric.barrier()

    def _compare_environment(self) -> None:
        """Tell in what a resumed run goes on with other software, and keep beside it what the run began with."""
        path = self.folder.environment
        try:
            began = read_json(path)
        except DataError as error:
            logger.warning("%s; whether the run goes on with the software that it began with is not known", error)
            return
        if began and (differences := compare_environments(began, self.report.info.environment)):
            for line in differences:
                logger.warning("%s: the rest need not have the bits of an uninterrupted run", line)
            write_json(path.with_stem(f"{path.stem}-until-{self.report.info.start_step}"), began)

    @contextmanager
    def _recorded(self, log: MemoryHandler) -> Iterator[None]:
        """Keep a log in the folder, and the lock of a new one."""
        takes_lock = self.is_new and self.fabric.is_global_zero
        with (
            self.folder.lock() if takes_lock else nullcontext(),
            log_to(self.folder.log_of(self.fabric.global_rank), log),
        ):
            yield

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
        changed = bool(self.notes)  # of a best checkpoint that was lost, and is another one now
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
            self.session,
            trainer.model,
            step,
            self.cases[self.task.evaluation.split],
            self.folder.path,
            self.report.progress("evaluate"),
            self._received,
        )
        self._stop_if_asked(trainer.progress.step)
        closing = replace(closing, notes=(*closing.notes, *self.notes, *self._trained_note()))
        self.report.evaluated(closing)
        return closing

    def _trained_note(self) -> list[str]:
        """What has to be said where the task asks to evaluate training cases; the first process knows the cases."""
        if self.origin is None:
            return []
        note = trained_note(self.origin.splits[self.task.evaluation.split], self.origin)
        return [note] if note else []

    def _received(self) -> bool:
        return self.stop.received != 0

    def _agreed_signal(self) -> int:
        """The signal by which any process was asked to stop, or 0; all processes ask together, and get one answer."""
        received = self.stop.received
        if self.fabric.world_size > 1:
            asked = torch.tensor(received, device=self.fabric.device)
            received = int(cast(torch.Tensor, self.fabric.all_reduce(asked, reduce_op="max")))
        return received

    def _stop_if_asked(self, step: int | None) -> None:
        """Stop if a signal asked for it; `step` is the last that is saved, None before the first one of this execution.

        Raises:
            Interrupted: how to go on.
        """
        number = self._agreed_signal()
        if not number:
            return
        goes_on = step is not None or not self.is_new
        saved = "before anything was trained" if step is None else f"step {step} of {self.task.train.steps} is saved"
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}{' ' if step is None else '; '}{saved}",
            signal_number=number,
            hint=f"go on with: platform run --resume {self.folder.path}" if goes_on else "",
        )
