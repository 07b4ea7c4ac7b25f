"""Predicting new files with the weights of a run."""

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from medvid.config.checked import check_task
from medvid.config.task import Task
from medvid.data.dataset import Case, sources_of
from medvid.data.output import check_output
from medvid.data.problems import raise_together
from medvid.devices.waiting import wait_for_all
from medvid.digests import digest_of
from medvid.errors import ConfigError, DataError
from medvid.evaluation.evaluator import Inference, Prediction, Writer
from medvid.evaluation.inference.ensemble import Averaged
from medvid.evaluation.predict import predict_cases
from medvid.evaluation.report import file_name
from medvid.files import make_folder, remove_drafts, write_json, writing
from medvid.plugin.host import Host
from medvid.runs.differences import changed_options
from medvid.runs.ensemble import Member, load_members
from medvid.runs.environment import describe_environment
from medvid.runs.folder import DAY, RunFolder
from medvid.runs.predictions import Predictions
from medvid.runs.pseudonyms import Pseudonyms
from medvid.runs.session import Session, launched_session
from medvid.runs.weights import load_trained
from medvid.scarcity import scarcity_named
from medvid.training.checkpoint import MANIFEST, checkpoint_path

log = logging.getLogger(__name__)

_HARMLESS = frozenset({"dataset.root", "dataset.cache", "evaluation.window_batch", "output"})
"""Options that do not change predictions of new files."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What answers new files, and what the record of their folder has of it.

    Args:
        model: on its device.
        inference: from cases to answers.
        writer: from these answers to files.
        maker: plain values that identify weights and options.
    """

    model: nn.Module
    inference: Inference
    writer: Writer
    maker: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FilePrediction(ABC):
    """Answers for new files that were asked for.

    Args:
        paths: files or folders of them.
        output: where the predictions go.
        overwrite: whether to predict again what is there.
        progress: told (stage, done, total).
    """

    paths: Sequence[Path]
    output: Path
    overwrite: bool
    progress: Callable[[str, int, int], None]

    @abstractmethod
    def load(self, session: Session, task: Task, pseudonyms: Pseudonyms | None) -> Predictor:
        """Load the weights into the model of a session.

        Raises:
            CheckpointError: there are none, or they are damaged.
            ConfigError: they cannot answer such files.
        """

    def run(self, task: Task, host: Host, pseudonyms: Pseudonyms | None) -> Iterator[tuple[str, Prediction]]:
        """Predict.

        Args:
            task: with the options of the prediction.
            host: the plugins.
            pseudonyms: to name cases by.

        Yields:
            The id of a case that this process predicted, and its prediction.

        Raises:
            MedvidError: as `medvid.runs.api.Run.predict`.
        """
        check_output(self.output)
        _check_apart(self.output, self.paths)
        with (
            launched_session(check_task(task, host), pseudonyms) as session,
            scarcity_named(),
            writing(self.output),
        ):
            fabric = session.fabric
            predictor = self.load(session, task, pseudonyms)
            made = Predictions(
                self.output,
                predictor.maker,
                fabric.global_rank,
                pseudonyms.of if pseudonyms else str,
            )
            cases = list(session.dataset.open(self.paths))
            _check_names(cases)
            if pseudonyms and fabric.is_global_zero:
                make_folder(self.output)
                remove_drafts(self.output, DAY)
                pseudonyms.write_table(self.output)
            todo = [case for case in cases if self.overwrite or not made.has(case.id, sources_of(case))]
            count, done = len(cases), len(cases) - len(todo)
            if done and fabric.is_global_zero:
                log.info("%d of %d predictions are there and left as they are", done, count)
            wait_for_all()  # by now each process has seen the same
            mine = todo[fabric.global_rank :: fabric.world_size]
            inference, writer = predictor.inference, predictor.writer
            predicted = predict_cases(fabric, predictor.model, inference, writer, mine, self.output)
            del cases, todo, mine  # what a case has read goes with it
            self.progress("predict", done, count)
            with closing(predicted):
                for number, (case, prediction) in enumerate(predicted, start=1):
                    if isinstance(prediction, DataError):
                        log.warning("not predicted: %s", prediction)
                        made.add_error(case.id, prediction)
                    else:
                        made.add(case.id, sources_of(case), prediction)
                        yield case.id, prediction
                    self.progress("predict", min(done + number * fabric.world_size, count), count)
            if not fabric.is_global_zero:
                return  # the first tells what went wrong
            while len(attempts := made.attempts()) < count - done:
                self.progress("predict", done + len(attempts), count)
                time.sleep(0.5)
            made.tidy()
            if self.output.exists():
                made.write_table()
                write_json(self.output / "predictions.json", {**predictor.maker, **_about(session)})
        raise_together([error for error in attempts.values() if error], f"of {count} files could not be predicted")


@dataclass(frozen=True, slots=True)
class RunPrediction(FilePrediction):
    """A prediction by the weights of a run, or of several, see `medvid.runs.api.Run.predict`.

    Args:
        folder: of the run.
        began: its task, as it was trained.
        checkpoint: which weights.
        others: runs whose answers are averaged with those of this one.
        average: see `medvid.runs.ensemble.load_members`.
    """

    folder: RunFolder
    began: Task
    checkpoint: str
    others: Sequence[Member] = ()
    average: Averaged | None = None

    def load(self, session: Session, task: Task, pseudonyms: Pseudonyms | None) -> Predictor:
        """Load the weights of the run, or of all runs."""
        evaluator = session.evaluator
        if not self.others:
            step = load_trained(session, self.folder, self.checkpoint)
            maker = self._maker(task, step, pseudonyms)
            return Predictor(session.model, evaluator.inference, evaluator.scorer, maker)
        joined = load_members(session, self.folder, self.others, self.checkpoint, self.average)
        first, *steps = joined.steps
        records = [_weights(member.folder, step) for member, step in zip(self.others, steps, strict=True)]
        maker = {**self._maker(task, first, pseudonyms), "average": joined.averaged, "with": records}
        return Predictor(joined.model, joined.evaluator.inference, joined.evaluator.scorer, maker)

    def _maker(self, task: Task, step: int, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
        """What predictions are made by, as their folder's record has it."""
        changes = {key: value for key, value in changed_options(self.began, task).items() if key not in _HARMLESS}
        return {
            **_weights(self.folder, step),
            "changes": pseudonyms.hide_in(changes) if pseudonyms else changes,
            **({"pseudonyms": pseudonyms.check_value} if pseudonyms else {}),
        }


def _weights(folder: RunFolder, step: int) -> dict[str, Any]:
    manifest = checkpoint_path(folder.checkpoints, step) / MANIFEST
    return {"run": folder.name, "step": step, "weights": digest_of(manifest.read_bytes())}


def _about(session: Session) -> dict[str, Any]:
    """Names of what is predicted, in order; versions of the plugins that took part, and of what they run on."""
    used = session.checked.host.used_by(session.checked.components)
    environment = describe_environment({plugin.distribution: plugin.version for plugin in used})
    return {
        "names": session.checked.target_info.names,
        "plugins": environment["plugins"],
        "versions": environment["versions"],
    }


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
