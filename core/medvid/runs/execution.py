"""One execution of a run: prepare, build, begin, train, close."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from logging.handlers import MemoryHandler

from torch import Tensor

from medvid.config.compatibility import check_split
from medvid.config.load import dump_task
from medvid.data.fold_choice import record_of_fold
from medvid.data.loading.balance import draw_weights, effect, read_targets
from medvid.data.loading.batches import training_batches
from medvid.data.loading.transfer import on_device
from medvid.data.loading.unreadable import UnreadableCases
from medvid.data.names import together
from medvid.data.splits import check_truth
from medvid.data.transforms.build import build_transforms
from medvid.data.transforms.deferred import count_deferred
from medvid.devices.determinism import indeterminism_named
from medvid.devices.precision import cudnn_note, precision_of
from medvid.devices.waiting import wait_for_all
from medvid.errors import Interrupted
from medvid.evaluation.cases import evaluate_cases
from medvid.files import read_json, remove_drafts, write_json
from medvid.models.build import load_initial_weights
from medvid.plugin.events import Evaluation
from medvid.runs.closing import close_evaluation
from medvid.runs.environment import check_plugins
from medvid.runs.extending import check_goes_on, copy_state, rate_note
from medvid.runs.failures import failures_reported_by_first
from medvid.runs.folder import RunFolder, log_to, rewind_metrics
from medvid.runs.origin import (
    Origin,
    check_cases,
    known_splits,
    read_origin,
    read_task,
    trained_note,
)
from medvid.runs.postprocessing import choose_postprocessing, is_to_choose, score_candidates
from medvid.runs.report import Report, describe_run
from medvid.runs.resuming import replace_lost_best, report_other_precision, report_other_software
from medvid.runs.session import Session
from medvid.runs.shared import check_same_data
from medvid.runs.short_profile import size_of, write_profile
from medvid.runs.space import check_space
from medvid.runs.weights import describe_checkpoint, find_checkpoint, read_trained, started_from
from medvid.scarcity import scarcity_named
from medvid.training.checkpoint import (
    checkpoint_path,
    load_weights,
    newest_intact,
    read_state,
    tidy_checkpoints,
)
from medvid.training.footprint import log_memory
from medvid.training.loop import Trainer
from medvid.training.parts import batch_norms
from medvid.training.progress import early_note
from medvid.training.replicas import leave_out_unused, missing_gradients_named
from medvid.training.shares import Shares, began_with, keep_shares
from medvid.training.stopping import StopRequest

logger = logging.getLogger("medvid")


class Execution:
    """One execution of a run, from its start or from a checkpoint.

    Args:
        session: the task with its devices, data set and model.
        folder: of the run; not made yet for a new one, locked for one that is resumed.
        cases: ids of the training and evaluated cases, by split.
        origin: what a resumed run, or the extended one, began with; None for one that starts at step 0.
        parent: the run that a new one extends.
    """

    def __init__(
        self,
        session: Session,
        folder: RunFolder,
        cases: Mapping[str, Sequence[str]],
        origin: Origin | None = None,
        parent: RunFolder | None = None,
    ) -> None:
        self.session, self.folder, self.cases = session, folder, cases
        self.task, self.fabric = session.task, session.fabric
        self.origin, self.parent, self.is_new = origin, parent, origin is None or parent is not None
        self.state = parent or folder  # has what the training continues with
        self.checkpoint = newest_intact(self.state.checkpoints) if origin else None
        if parent and origin and self.checkpoint:
            self.origin = replace(origin, extends=describe_checkpoint(self.checkpoint))
        self.stop = StopRequest(folder.path, self.task.train.steps, is_new=self.is_new)
        extended = str(self.origin.extends.get("run", "")) if self.origin else ""
        self.report = Report(session, folder, describe_run(session, folder, self.checkpoint, extended))
        self.notes: list[str] = []
        self.weights: Tensor | None = None  # of the training cases, for balanced drawing

    def run(self, log: MemoryHandler, original: str = "") -> None:
        """Make everything ready, then begin: until then the folder is neither made nor changed.

        Args:
            log: what was logged so far.
            original: text of the task file, for a new run.
        """
        has_begun = False
        with ExitStack() as kept, self.stop:  # until all is closed, as whoever asks to stop asks again
            self.report.configured()
            try:
                with (
                    failures_reported_by_first(self.fabric, self.folder),
                    scarcity_named(),
                    indeterminism_named(),
                    self.session.hidden_errors(),
                ):
                    self._prepare()
                    trainer = self._build()
                    self.stop.stop_if_asked()
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
            self.report.finished(closing, trainer.progress.step)

    def _prepare(self) -> None:
        """Prepare the data, and make sure that a resumed run sees the data it began with."""
        dataset = self.session.dataset
        read_json(self.state.unreadable(self.fabric.global_rank))  # training continues with it: is it damaged?
        if self.fabric.is_global_zero:
            both = together(self.cases.values())
            if self.origin:
                check_plugins(self.origin.plugins, self.report.info.plugins)
            dataset.prepare(both, self.report.progress("prepare"))
            check_truth(dataset, self.cases[self.task.evaluation.split])
            if self.origin is None:
                description = dataset.describe(self.cases["train"])
                key = self.session.pseudonyms.check_value if self.session.pseudonyms else ""
                splits = known_splits(dataset, self.cases)
                record = record_of_fold(self.task.dataset)
                self.origin = Origin({}, self.report.info.plugins, splits, description, key, fold=record)
            else:
                known = {case: known for split in self.cases for case, known in self.origin.splits[split].items()}
                check_cases(dataset, known, "start a new run on the new data: platform run TASK.yaml")
            named = {"name": self.task.dataset.name} | ({"fold": self.origin.fold} if self.origin.fold else {})
            self.report.prepared(
                {
                    split: {**named, "cases": len(cases), "digest": dataset.digest(cases)}
                    for split, cases in self.cases.items()
                }
            )
        wait_for_all()
        check_same_data(self.fabric, dataset, self.cases)
        if self.task.train.balance:
            self._balance()

    def _balance(self) -> None:
        """Weigh the training cases, and say what that does."""
        info = self.session.dataset.target_info
        targets = read_targets(self.session.dataset, self.cases["train"])
        self.weights = draw_weights(targets, info)
        if self.fabric.is_global_zero:
            logger.info(effect(targets, self.weights, info))

    def _keep_shares(self) -> None:
        """Have a continued training take the steps that it began with, also where it has other processes now."""
        if not (self.checkpoint and self.origin):
            return
        processes = self.fabric.world_size
        began = began_with(read_state(self.checkpoint), self.origin.task)
        if began is None:
            told = "the number of processes that the run began with was not kept: if it was not %d, figures will differ"
            logger.warning(told, processes)
            return
        self.task = keep_shares(self.task, began, processes, has_norms=any(batch_norms(self.session.model)))
        if processes != began.processes:
            check_split(self.task, self.session.checked.target_info, processes)
            told = "the run goes on with %s, after %s: each step has the cases it would have had, and what a process "
            told += "draws at random, such as dropout, is drawn anew"
            logger.warning(told, Shares.of(self.task.train, processes), began)

    def _build(self) -> Trainer:
        self._keep_shares()
        task, model, checked = self.task, self.session.model, self.session.checked
        for imported in [] if self.checkpoint else load_initial_weights(model, checked, read_trained):
            logger.info("%s", imported)
        if not self.checkpoint and self.origin:
            starts = [find_checkpoint(RunFolder(start.path), start.checkpoint) for start in started_from(task)]
            self.origin = replace(self.origin, started_from=[describe_checkpoint(start) for start in starts])
        if note := cudnn_note(model, self.fabric):
            logger.warning(note)
        leave_out_unused(self.fabric, model, checked.input_info, checked.target_info)
        if self.fabric.device.type == "cuda":  # elsewhere a step would tell as soon
            log_memory(checked, model, self.fabric)
        if count := count_deferred(self.session.dataset.transforms):
            logger.info("random changes: the last %d of the list on the device", count)
        axes = len(checked.input_info.size)
        changes = build_transforms(task.dataset, checked.host, "batch")
        trainer = Trainer(self.fabric, model, task.train, task.seed, axes, checked.host.build, changes)
        if self.checkpoint:
            trainer.restore(self.checkpoint, is_verified=True)
            logger.info("continuing from %s%s", self.checkpoint.name, f" of {self.parent.path}" if self.parent else "")
            if self.fabric.device.type == "cuda" and not task.train.deterministic:
                logger.warning("train.deterministic is false: results may differ from an uninterrupted run")
            monitor = self.session.evaluator.scorer.monitor
            if self.parent and self.origin:
                logger.info(rate_note(task.train, self.origin.task["train"]["steps"], trainer.progress.step))
                check_goes_on(self.parent, trainer)
            if note := replace_lost_best(self.state, trainer.progress, task.evaluation, monitor):
                logger.warning(note)
                self.notes.append(note)
        return trainer

    def _check_space(self, trainer: Trainer) -> None:
        """Refuse a run that does not fit on the disk, before its folder is made."""
        if self.fabric.is_global_zero:
            evaluated = self.cases[self.task.evaluation.split]
            check_space(self.folder.path, self.task, trainer.model, self.session.dataset, evaluated)
        wait_for_all()

    def _begin(self, trainer: Trainer, original: str) -> None:
        """Make the run's folder, or change that of a resumed one for the first time."""
        if self.fabric.is_global_zero:
            if self.is_new and self.origin:
                with self.folder.creating(original, dump_task(self.task)) as made:
                    if self.parent and self.checkpoint:
                        copy_state(self.parent, self.checkpoint, trainer.progress.best_step, made)
                    began = replace(self.origin, task=read_task(made.resolved), precision=precision_of(self.fabric))
                    began.write(made.origin)
            if self.parent or not self.is_new:
                remove_drafts(self.folder.path)
                tidy_checkpoints(self.folder.checkpoints)
                info = self.report.info
                report_other_software(self.folder, info.environment, info.start_step)
                report_other_precision(self.origin.precision if self.origin else "", precision_of(self.fabric))
                rewind_metrics(self.folder.metrics, trainer.progress.step)
            if self.session.pseudonyms:
                self.session.pseudonyms.write_table(self.folder.path)
            write_json(self.folder.data, self.report.info.datasets)
            write_json(self.folder.environment, self.report.info.environment)
        wait_for_all()

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
            loading=self.session.loading,
            unreadable=UnreadableCases(
                self.folder.unreadable(self.fabric.global_rank), len(self.cases["train"]), options.max_unreadable
            ),
            weights=self.weights,
        )
        self.report.progress("train")(progress.step, options.steps)
        ready = on_device(batches, self.fabric.device, trainer.memory_format)
        # Closed also where an error is kept, which would keep the processes alive.
        with missing_gradients_named(), closing(batches), closing(ready):
            trainer.train(
                ready,
                every=self.task.evaluation.every,
                validate=lambda: self._validate(trainer),
                folder=self.folder.checkpoints,
                observer=self.report,
                stop=self.stop,
                smooth=self.task.evaluation.smooth,
                unsaved=bool(self.notes),  # of a best checkpoint that was lost, and is another one now
            )
        if trainer.is_over_early:
            self.notes.append(early_note(progress, options, self.session.evaluator.scorer.monitor))
            logger.info(self.notes[-1])

    def _validate(self, trainer: Trainer) -> float | None:
        """The figure of the validation cases by which the best weights are chosen; None if a signal came meanwhile."""
        split, step = self.task.evaluation.split, trainer.progress.step
        with trainer.averaged():
            rows = evaluate_cases(
                self.session.evaluation,
                trainer.model,
                self.cases[split],
                final=False,
                folder=self.folder.path,
                progress=self.report.progress("evaluate"),
                interrupted=self.stop.is_received,
            )
        if self.stop.agreed():
            return None
        summary = self.session.evaluator.scorer.summarise(rows)
        self.report.validated(
            Evaluation(split=split, step=step, final=False, metrics=summary.metrics, rows=tuple(rows))
        )
        return summary.metrics[self.session.evaluator.scorer.monitor]

    def _close(self, trainer: Trainer) -> Evaluation:
        """Evaluate the chosen weights in full and write the report."""
        best = trainer.progress.best_step if self.task.evaluation.checkpoint == "best" else None
        step = trainer.progress.step if best is None else best
        load_weights(trainer.model, checkpoint_path(self.folder.checkpoints, step))
        session, cases = self.session, self.cases[self.task.evaluation.split]
        if is_to_choose(self.task):
            told, asked = self.report.progress("post-processing"), self.stop.is_received
            rows = score_candidates(session, trainer.model, cases, self.folder, told, asked)
            self.stop.stop_if_asked(trainer.progress.step)
            session, note = choose_postprocessing(session, rows, self.folder)
            self.notes.append(note)
        closing = close_evaluation(
            session,
            trainer.model,
            step,
            cases,
            self.folder.path,
            self.report.progress("evaluate"),
            self.stop.is_received,
        )
        self.stop.stop_if_asked(trainer.progress.step)
        closing = replace(closing, notes=(*closing.notes, *self.notes, *self._trained_note()))
        if self.fabric.is_global_zero:
            size = size_of(trainer.model, session.checked.input_info)
            write_profile(self.folder, size, session.checked, self.fabric)
        self.report.evaluated(closing)
        return closing

    def _trained_note(self) -> list[str]:
        """What has to be said where the task asks to evaluate training cases; the first process knows the cases."""
        if self.origin is None:
            return []
        scored = self.origin.splits[self.task.evaluation.split]
        notes = [trained_note(scored, self.origin)]
        for start in started_from(self.task):
            before = read_origin(RunFolder(start.path))
            note = trained_note(scored, before) if before else ""
            notes.append(note and f"of the run that this one started from, {start.path.name}: {note}")
        return [note for note in notes if note]
