"""medvid from Python: run a task, load a run, evaluate it, predict with it."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvid.config.compatibility import check_compatible
from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.data.output import check_output
from medvid.data.problems import raise_together
from medvid.errors import CheckpointError, ConfigError, DataError
from medvid.files import read_json, write_json
from medvid.models.head import Prediction
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host, make_host
from medvid.runs.closing import close_evaluation
from medvid.runs.execute import resume_run, run_task
from medvid.runs.folder import RunFolder
from medvid.runs.session import Session, generate_sample, open_session
from medvid.training.checkpoint import checkpoint_path, checkpoint_step, load_weights, newest_intact, read_best
from medvid.training.evaluate import InferenceModel

log = logging.getLogger(__name__)


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
    found, host = RunFolder.find(Path(folder)), make_host(plugins)
    return Run(resume_run(found, load_task(found.resolved, host), host), host)


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
        """The resolved task, with overrides."""
        return load_task(self.folder.resolved, self.host, overrides=overrides)

    def _inference_task(self, overrides: Mapping[str, object] | Sequence[str]) -> Task:
        """The task on one device: the training may have had several."""
        task = self.task(overrides)
        return task.model_copy(update={"train": task.train.model_copy(update={"devices": 1, "strategy": "auto"})})

    def evaluate(
        self,
        *,
        checkpoint: str = "best",
        overrides: Mapping[str, object] | Sequence[str] = (),
        output: Path | None = None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> tuple[Evaluation, Path]:
        """Evaluate a checkpoint of the run in full, on one device.

        Args:
            checkpoint: ``"best"``, ``"last"`` or a step's number.
            overrides: other options, usually of the evaluation block: ``{"evaluation.protocol": "unetr"}``.
            output: where the files go; default: ``<run>/evaluations/<split>-<protocol>-<step>``, and a hash behind it
                where other options differ from those of the run.
            progress: told (stage, done, total).

        Returns:
            The figures, and the folder with cases.csv, summary.json, predictions/ and figures/.
        """
        task = self._inference_task(overrides)
        generate_sample(task, self.host)
        check_compatible(task, self.host)
        session = open_session(task, self.host)
        step = self._load(session, checkpoint)
        options = task.evaluation
        changes = _changes(self.task(), task)
        label = f"{options.split}-{options.protocol}-{step}{_mark(changes)}"
        folder = output or self.folder.path / "evaluations" / label
        folder.mkdir(parents=True, exist_ok=True)
        cases = session.dataset.cases(options.split)
        session.dataset.prepare(cases, lambda done, total: progress("prepare", done, total))
        evaluation = close_evaluation(
            session, session.model, step, folder, lambda done, total: progress("evaluate", done, total)
        )
        write_json(
            folder / "summary.json",
            {
                "run": self.folder.name,
                "step": step,
                "split": options.split,
                "protocol": options.protocol,
                "changes": changes,
                "data": "sample" if task.sample else "real",
                "metrics": evaluation.metrics,
                "notes": evaluation.notes,
            },
        )
        return evaluation, folder

    def predict(
        self, paths: Sequence[Path], output: Path, *, checkpoint: str = "best", overrides: Sequence[str] = ()
    ) -> Iterator[tuple[str, Prediction]]:
        """Predict new files, one case after the other, on one device; the training data need not be there.

        A file that cannot be read is logged, and the others are predicted before it is raised.

        Args:
            paths: files or folders of them.
            output: where the predictions go.
            checkpoint: as for `evaluate`.
            overrides: other options, e.g. of the device.

        Yields:
            The case's id and its prediction.

        Raises:
            ConfigError: the predictions would be written over the inputs, or `output` is a file.
            NumericError: the model's output for a case is not finite; nothing is written for it.
            DataError: files are missing; or some could not be read, and all others are written.
        """
        check_output(output)
        if clash := [path for path in paths if output.resolve() in (path.resolve(), path.resolve().parent)]:
            raise ConfigError(
                f"the predictions would be written over their inputs: {clash[0]} lies in {output}",
                hint="give another folder: -o predictions",
            )
        session = open_session(self._inference_task(overrides), self.host, needs_data=False)
        self._load(session, checkpoint)
        model = InferenceModel(session.fabric, session.model)
        is_new, count = not output.exists(), 0
        errors: list[DataError] = []
        for case in session.dataset.open(paths):
            count += 1
            model.case = case.id
            output.mkdir(parents=True, exist_ok=True)
            try:
                prediction = session.evaluator.predict(model, case, output)
            except DataError as error:
                log.warning("not predicted: %s", error)
                errors.append(error)
            else:
                yield case.id, prediction
        if errors and is_new and not any(output.iterdir()):
            output.rmdir()
        raise_together(errors, f"of {count} files could not be predicted")

    def _load(self, session: Session, checkpoint: str) -> int:
        path = self._checkpoint(checkpoint)
        load_weights(session.model, path)
        session.model.to(session.fabric.device)
        return checkpoint_step(path)

    def _checkpoint(self, which: str) -> Path:
        folder = self.folder.checkpoints
        newest = newest_intact(folder)
        if newest is None:
            raise CheckpointError(f"{folder} has no checkpoint", hint="has the run saved one yet? see its run.log")
        if which == "last":
            return newest
        if which == "best":
            best = read_best(newest)
            return newest if best is None else checkpoint_path(folder, best)
        if not which.isdecimal() or not checkpoint_path(folder, int(which)).exists():
            raise ConfigError(f"there is no checkpoint {which!r}: give best, last or the number of a saved step")
        return checkpoint_path(folder, int(which))


def _changes(trained: Task, evaluated: Task) -> dict[str, object]:
    """The options in which an evaluation differs from its run, by dotted key; those of the training do not matter."""
    before, after = (_flat(task.model_dump(mode="json", exclude={"train"})) for task in (trained, evaluated))
    return {key: value for key, value in after.items() if before.get(key) != value}


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _mark(changes: Mapping[str, object]) -> str:
    """Tells evaluations apart whose names would be the same."""
    unnamed = {key: value for key, value in changes.items() if key not in ("evaluation.split", "evaluation.protocol")}
    text = json.dumps(unnamed, sort_keys=True, default=str)
    return f"-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}" if unnamed else ""
