"""medvid from Python: run a task, load a run, evaluate it, predict with it."""

import hashlib
import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medvid.config.compatibility import check_compatible
from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.data.dataset import Case, sources_of
from medvid.data.output import check_output
from medvid.data.problems import raise_together
from medvid.errors import CheckpointError, ConfigError, DataError
from medvid.evaluation.report import file_name
from medvid.files import make_folder, read_json, remove_drafts, replaced_folder, write_json, writing
from medvid.models.head import Prediction
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host, make_host
from medvid.runs.chosen import Trained, external_cases, own_cases
from medvid.runs.closing import close_evaluation
from medvid.runs.execute import resume_run, run_task
from medvid.runs.folder import DAY, PRIVATE, RunFolder
from medvid.runs.origin import Origin, check_task, flat, read_origin
from medvid.runs.predictions import Predictions
from medvid.runs.pseudonyms import Pseudonyms, check_key, pseudonyms_of
from medvid.runs.session import Session, generate_sample, open_session
from medvid.scarcity import scarcity_named
from medvid.training.checkpoint import (
    MANIFEST,
    best_step,
    checkpoint_path,
    checkpoint_step,
    load_weights,
    newest_intact,
    verify_checkpoint,
)
from medvid.training.evaluate import InferenceModel

log = logging.getLogger(__name__)

_HARMLESS = frozenset({"dataset.root", "dataset.cache", "evaluation.window_batch", "output"})
"""Options that do not change predictions of new files."""


def run(
    task: str | Path,
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    sample: bool = False,
    plugins: Path | None = None,
) -> "Run":
    """Run a task: check, build, train, evaluate, report.

    Args:
        task: path of the task file.
        overrides: values by dotted key, ``{"train.steps": 100}``, or as text, ``["train.steps=100"]``.
        sample: run on the generated sample of the task instead of its data set.
        plugins: the allow-list to use; default: as the command line looks it up.

    Raises:
        MedvidError: what stopped it.
    """
    host, path = make_host(plugins), Path(task)
    resolved = load_task(path, host, overrides=overrides, sample=sample)
    return Run(run_task(resolved, host, path.read_text()), host)


def resume(folder: str | Path, *, plugins: Path | None = None) -> "Run":
    """Go on with a run from its newest intact checkpoint.

    Raises:
        MedvidError: what stopped it.
    """
    run = load_run(folder, plugins=plugins)
    task, origin = run.task(), read_origin(run.folder)
    if origin is None:
        raise DataError(
            f"{run.folder.origin} is missing, so the run does not know which data it began with",
            hint=f"restore it, or start a new run: platform run {run.folder.resolved}",
        )
    return Run(resume_run(run.folder, task, run.host, origin), run.host)


def load_run(folder: str | Path, *, plugins: Path | None = None) -> "Run":
    """A run that was made before.

    Raises:
        ConfigError: folder is not a run folder.
    """
    return Run(RunFolder.find(Path(folder)), make_host(plugins))


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with what can be done with it.

    Args:
        folder: where everything of the run is.
        host: the plugins that it needs.
    """

    folder: RunFolder
    host: Host

    @property
    def summary(self) -> dict[str, Any]:
        """How the run ended, as in summary.json; empty while it runs."""
        return read_json(self.folder.summary)

    def task(self, overrides: Mapping[str, object] | Sequence[str] = ()) -> Task:
        """The resolved task, with overrides.

        Raises:
            ConfigError: an override is wrong, or resolved.yaml was changed after the run began.
        """
        if origin := read_origin(self.folder):
            check_task(self.folder, origin)
        return load_task(self.folder.resolved, self.host, overrides=overrides)

    def _inference_task(
        self, overrides: Mapping[str, object] | Sequence[str], devices: int | Literal["auto"] = 1
    ) -> Task:
        """The task on one device, or as many as given: the training may have had others."""
        task = self.task(overrides)
        return task.model_copy(update={"train": task.train.model_copy(update={"devices": devices, "strategy": "auto"})})

    def evaluate(
        self,
        *,
        checkpoint: str = "best",
        overrides: Mapping[str, object] | Sequence[str] = (),
        data: Path | None = None,
        trained: Trained = "refuse",
        output: Path | None = None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> tuple[Evaluation, Path]:
        """Evaluate a checkpoint of the run in full, on one device, on the cases that the run held out.

        Args:
            checkpoint: ``"best"``, ``"last"`` or a step's number.
            overrides: other options, usually of the evaluation block: ``{"evaluation.protocol": "unetr"}``.
            data: another folder, of which all labelled cases are scored instead.
            trained: what to do with cases in it that the run was trained on.
            output: where the files go, an empty folder; default: ``<run>/evaluations/<split>-<protocol>-<step>``, and a
                hash behind it where other options or data differ from those of the run. What is there is replaced.
            progress: told (stage, done, total).

        Returns:
            The figures, and the folder with cases.csv, summary.json, predictions/ and figures/.

        Raises:
            ConfigError: an option is wrong, or `output` is not empty.
            DataError: the data are missing, or not what the run began with.
            CheckpointError: there is no intact one of this kind.
        """
        self._checkpoint(checkpoint)
        if output and output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise ConfigError(f"{output} is not an empty folder", hint="give a new one: -o FOLDER")
        origin = read_origin(self.folder)
        if origin is None and data is None:
            raise DataError(
                f"{self.folder.origin} is missing, so the run does not know which cases it held out",
                hint="score a folder of labelled cases: platform evaluate RUN --data FOLDER",
            )
        task = self._inference_task([*_as_text(overrides), *(_of_folder(data, self.task()) if data else ())])
        if data and task.evaluation.split != self.task().evaluation.split:
            raise ConfigError("evaluation.split does not go with --data: all labelled cases of that folder are scored")
        with pseudonyms_of(task, [data] if data else ()) as pseudonyms:
            check_key(pseudonyms, origin.pseudonyms if origin else "")
            return self._score(task, checkpoint, origin, data, trained, output, progress, pseudonyms)

    def _score(
        self,
        task: Task,
        checkpoint: str,
        origin: Origin | None,
        data: Path | None,
        trained: Trained,
        output: Path | None,
        progress: Callable[[str, int, int], None],
        pseudonyms: Pseudonyms | None,
    ) -> tuple[Evaluation, Path]:
        generate_sample(task, self.host)
        check_compatible(task, self.host)
        session = open_session(task, self.host, pseudonyms=pseudonyms)
        step = self._load(session, checkpoint)

        def prepared(done: int, total: int) -> None:
            progress("prepare", done, total)

        if data:
            chosen = external_cases(session.dataset, origin, trained, prepared)
        else:
            assert origin, "looked at above"
            chosen = own_cases(session.dataset, origin, task.evaluation.split, prepared)
        for note in chosen.notes:
            log.warning(note)
        changes = _changes(self.task(), task) | ({"data": chosen.digest} if data else {})
        told = pseudonyms.hide_in(changes) if pseudonyms else changes
        folder = output or self.folder.path / "evaluations" / _label(chosen.split, task, step, changes)
        make_folder(folder.parent, PRIVATE)
        remove_drafts(folder.parent, DAY)
        with replaced_folder(folder, PRIVATE) as draft:
            evaluation = close_evaluation(
                session,
                session.model,
                step,
                chosen.cases,
                draft,
                lambda done, total: progress("evaluate", done, total),
                split=chosen.split,
            )
            evaluation = replace(evaluation, notes=(*evaluation.notes, *chosen.notes))
            summary = {
                "run": self.folder.name,
                "step": step,
                "split": chosen.split,
                "cases": len(chosen.cases),
                "folder": str(data) if data and not pseudonyms else None,
                "protocol": task.evaluation.protocol,
                "changes": told,
                "data": "external" if data else "sample" if task.sample else "real",
                "metrics": evaluation.metrics,
                "notes": evaluation.notes,
            }
            write_json(draft / "summary.json", summary)
            if pseudonyms:
                pseudonyms.write_table(draft)
        figures = tuple(folder / figure.relative_to(draft) for figure in evaluation.figures)
        return replace(evaluation, figures=figures), folder

    def predict(
        self,
        paths: Sequence[Path],
        output: Path,
        *,
        checkpoint: str = "best",
        overrides: Sequence[str] = (),
        overwrite: bool = False,
        devices: int | Literal["auto"] = 1,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> Iterator[tuple[str, Prediction]]:
        """Predict new files, one case after the other; the training data need not be there.

        What `output` already holds of these files, by these weights, is left as it is, so that a call goes on where
        another one was stopped. A file that cannot be read is logged, and the others are predicted before it is raised.

        Args:
            paths: files or folders of them.
            output: where the predictions go, with a record of what they are made by.
            checkpoint: as for `evaluate`.
            overrides: other options, e.g. of the device.
            overwrite: predict everything again.
            devices: how many to share the files, as processes that run this program too; auto: all GPUs.
            progress: told (stage, done, total).

        Yields:
            The id of a case that this process predicted, and its prediction.

        Raises:
            ConfigError: the predictions would be written over or among the inputs, `output` is a file, or it holds what
                other weights or options have predicted.
            DataError: files are missing; or some could not be read, and all others are written.
            NumericError: the model's output for a case is not finite; nothing is written for it.
            ResourceError: memory or the disk ran out; a further call goes on.
        """
        task = self._inference_task(overrides, devices)
        with pseudonyms_of(task, paths) as pseudonyms:
            yield from self._predict(task, paths, output, checkpoint, overwrite, progress, pseudonyms)

    def _predict(
        self,
        task: Task,
        paths: Sequence[Path],
        output: Path,
        checkpoint: str,
        overwrite: bool,
        progress: Callable[[str, int, int], None],
        pseudonyms: Pseudonyms | None,
    ) -> Iterator[tuple[str, Prediction]]:
        check_output(output)
        _check_apart(output, paths)
        session = open_session(task, self.host, needs_data=False, pseudonyms=pseudonyms)
        fabric = session.fabric
        with scarcity_named(), writing(output):
            step = self._load(session, checkpoint)
            made = Predictions(
                output, self._maker(task, step, pseudonyms), fabric.global_rank, pseudonyms.of if pseudonyms else str
            )
            cases = list(session.dataset.open(paths))
            _check_names(cases)
            if pseudonyms and fabric.is_global_zero:
                make_folder(output)
                remove_drafts(output, DAY)
                pseudonyms.write_table(output)
            todo = [case for case in cases if overwrite or not made.has(case.id, sources_of(case))]
            count, done = len(cases), len(cases) - len(todo)
            if done and fabric.is_global_zero:
                log.info("%d of %d predictions are there and left as they are", done, count)
            fabric.barrier()  # by now each process has seen the same
            mine = deque(todo[fabric.global_rank :: fabric.world_size])
            del cases, todo  # what a case has read goes with it
            progress("predict", done, count)
            model = InferenceModel(fabric, session.model)
            for number in range(1, len(mine) + 1):
                case = mine.popleft()
                model.case = case.id
                try:
                    prediction = session.evaluator.predict(model, case, output)
                except DataError as error:
                    log.warning("not predicted: %s", error)
                    made.add_error(case.id, error)
                else:
                    made.add(case.id, sources_of(case), prediction)
                    yield case.id, prediction
                progress("predict", min(done + number * fabric.world_size, count), count)
            if not fabric.is_global_zero:
                return  # the first tells what went wrong
            while len(attempts := made.attempts()) < count - done:
                progress("predict", done + len(attempts), count)
                time.sleep(0.5)
            made.tidy()
        raise_together([error for error in attempts.values() if error], f"of {count} files could not be predicted")

    def _maker(self, task: Task, step: int, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
        """What predictions are made by, as their folder's record has it."""
        weights = checkpoint_path(self.folder.checkpoints, step) / MANIFEST
        changes = {key: value for key, value in _changes(self.task(), task).items() if key not in _HARMLESS}
        return {
            "run": self.folder.name,
            "step": step,
            "weights": hashlib.blake2b(weights.read_bytes(), digest_size=16).hexdigest(),
            "changes": pseudonyms.hide_in(changes) if pseudonyms else changes,
            **({"pseudonyms": pseudonyms.check_value} if pseudonyms else {}),
        }

    def _load(self, session: Session, checkpoint: str) -> int:
        path = self._checkpoint(checkpoint)
        load_weights(session.model, path)
        session.model.to(session.fabric.device)
        origin = read_origin(self.folder)
        session.dataset.remember(origin.description if origin else {})
        return checkpoint_step(path)

    def _checkpoint(self, which: str) -> Path:
        """The intact checkpoint that is meant.

        Raises:
            CheckpointError: there is none, or it is damaged.
            ConfigError: there is no such step.
        """
        folder = self.folder.checkpoints
        newest = newest_intact(folder)
        if newest is None:
            raise CheckpointError(f"{folder} has no checkpoint", hint="has the run saved one yet? see its run.log")
        best = best_step(folder) if which == "best" else None
        if which == "last" or (which == "best" and best is None):
            return newest
        if which != "best" and not (which.isdecimal() and checkpoint_path(folder, int(which)).exists()):
            raise ConfigError(f"there is no checkpoint {which!r}: give best, last or the number of a saved step")
        path = checkpoint_path(folder, int(which) if best is None else best)
        try:
            verify_checkpoint(path)
        except CheckpointError as error:
            raise CheckpointError(
                f"the {which if which == 'best' else 'asked-for'} checkpoint is damaged: {error}",
                hint=f"use the newest intact one, of step {checkpoint_step(newest)}: --checkpoint last",
            ) from error
        return path


def _as_text(overrides: Mapping[str, object] | Sequence[str]) -> list[str]:
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]
    return list(overrides)


def _of_folder(data: Path, task: Task) -> list[str]:
    """The overrides by which a run's data set is that of another folder, with no split of its own."""
    own = [f"dataset.{name}=null" for name in ("split", "fold") if name in type(task.dataset).model_fields]
    datalist = getattr(task.dataset, "datalist", None)
    own += ["dataset.datalist=null"] if datalist and not (data / datalist).is_file() else []
    return [f"dataset.root={json.dumps(str(data.expanduser().absolute()))}", *own]


def _check_names(cases: Sequence[Case]) -> None:
    """Refuse files whose predictions would have one name."""
    counts = Counter(file_name(case.id).casefold() for case in cases)
    if doubled := [case for case in cases if counts[file_name(case.id).casefold()] > 1]:
        files = ", ".join(str(path) for case in doubled for path in sources_of(case)) or doubled[0].id
        raise DataError(
            f"the predictions of several files would have one name, {doubled[0].id}: {files}",
            hint="predict them one after the other, into different folders",
        )


def _check_apart(output: Path, paths: Sequence[Path]) -> None:
    """Refuse to write predictions over inputs, or among them, where they would be taken for inputs the next time."""
    folder = output.resolve()
    for path in paths:
        given = path.resolve()
        if folder == given.parent or folder.is_relative_to(given):
            raise ConfigError(
                f"the predictions would be written over their inputs or among them: {path} lies in {output}"
                if folder == given.parent
                else f"the predictions would be written over their inputs or among them: {output} lies in {path}",
                hint="give another folder: -o predictions",
            )


def _changes(trained: Task, evaluated: Task) -> dict[str, object]:
    """The options in which an evaluation differs from its run, by dotted key; of the training only precision."""
    before, after = (
        dict(flat(task.model_dump(mode="json", exclude={"train"}))) | {"train.precision": task.train.precision}
        for task in (trained, evaluated)
    )
    return {key: value for key, value in after.items() if before.get(key) != value}


def _label(split: str, task: Task, step: int, changes: Mapping[str, object]) -> str:
    return f"{split}-{task.evaluation.protocol}-{step}{_mark(changes)}"


def _mark(changes: Mapping[str, object]) -> str:
    """Tells evaluations apart whose names would be the same."""
    unnamed = {key: value for key, value in changes.items() if key not in ("evaluation.split", "evaluation.protocol")}
    text = json.dumps(unnamed, sort_keys=True, default=str)
    return f"-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}" if unnamed else ""
