"""Evaluating the weights of a run that is there."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from medvid.config.early import check_again
from medvid.config.task import Task
from medvid.digests import digest_of
from medvid.errors import ConfigError, DataError
from medvid.evaluation.inference.ensemble import Averaged
from medvid.files import make_folder, remove_drafts, replaced_folder, write_json
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host
from medvid.runs.chosen import Chosen, Trained, external_cases, own_cases
from medvid.runs.closing import close_evaluation
from medvid.runs.differences import changed_options
from medvid.runs.ensemble import Member, load_members
from medvid.runs.folder import DAY, PRIVATE, RunFolder
from medvid.runs.origin import Origin
from medvid.runs.pseudonyms import Pseudonyms
from medvid.runs.session import Session, launched_session
from medvid.runs.weights import load_trained

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """An evaluation of a run that was asked for, see `medvid.runs.api.Run.evaluate`.

    Args:
        folder: of the run.
        began: its task, as it was trained.
        origin: what it began with, if that is known.
        checkpoint: which weights.
        data: a folder whose labelled cases are scored instead of the run's held-out ones.
        trained: what to do with cases in it that the run was trained on.
        output: where the files go, if not into the run's folder.
        progress: told (stage, done, total).
        others: runs whose answers are averaged with those of this one.
        average: see `medvid.runs.ensemble.load_members`.
        home: the folder that gets ``evaluations/``; default: that of the run.
    """

    folder: RunFolder
    began: Task
    origin: Origin | None
    checkpoint: str
    data: Path | None
    trained: Trained
    output: Path | None
    progress: Callable[[str, int, int], None]
    others: Sequence[Member] = ()
    average: Averaged | None = None
    home: Path | None = None

    def check(self, task: Task) -> None:
        """Refuse what cannot be evaluated, before anything is loaded.

        Args:
            task: with the options of the evaluation.

        Raises:
            ConfigError: `output` is not empty, or the split is asked for and another folder too.
            DataError: which cases the run held out is not known.
        """
        output = self.output
        if output and output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise ConfigError(f"{output} is not an empty folder", hint="give a new one: -o FOLDER")
        if self.origin is None and self.data is None:
            raise DataError(
                f"{self.folder.origin} is missing, so the run does not know which cases it held out",
                hint="score a folder of labelled cases: platform evaluate RUN --data FOLDER",
            )
        if self.data and task.evaluation.split != self.began.evaluation.split:
            raise ConfigError("evaluation.split does not go with --data: all labelled cases of that folder are scored")

    def run(self, task: Task, host: Host, pseudonyms: Pseudonyms | None) -> tuple[Evaluation, Path]:
        """Evaluate.

        Args:
            task: with the options of the evaluation.
            host: the plugins.
            pseudonyms: to name cases by.

        Returns:
            The figures, and the folder with cases.csv, summary.json, predictions/ and figures/.

        Raises:
            MedvidError: as `medvid.runs.api.Run.evaluate`.
        """
        with launched_session(check_again(task, host), pseudonyms) as session:
            return self._evaluate(session, pseudonyms)

    def _evaluate(self, session: Session, pseudonyms: Pseudonyms | None) -> tuple[Evaluation, Path]:
        task = session.task
        session, model, step, averaged = self._load(session)
        chosen = self._choose(session)
        for note in chosen.notes:
            log.warning(note)
        changes = changed_options(self.began, task) | ({"data": chosen.digest} if self.data else {})
        told = pseudonyms.hide_in(changes) if pseudonyms else changes
        home = (self.home or self.folder.path) / "evaluations"
        folder = self.output or home / _label(chosen.split, task, step, changes)
        make_folder(folder.parent, PRIVATE)
        remove_drafts(folder.parent, DAY)
        with replaced_folder(folder, PRIVATE) as draft:
            evaluation = close_evaluation(
                session,
                model,
                step,
                chosen.cases,
                draft,
                partial(self.progress, "evaluate"),
                split=chosen.split,
            )
            evaluation = replace(evaluation, notes=(*evaluation.notes, *chosen.notes))
            summary = {
                "run": self.folder.name,
                "step": step,
                **averaged,
                "split": chosen.split,
                "cases": len(chosen.cases),
                "folder": str(self.data) if self.data and not pseudonyms else None,
                "protocol": task.evaluation.protocol.name,
                "changes": told,
                "data": "external" if self.data else "demo" if task.demo else "real",
                "metrics": evaluation.metrics,
                "better": evaluation.better,
                "monitor": evaluation.monitor,
                "notes": evaluation.notes,
            }
            write_json(draft / "summary.json", summary)
            if pseudonyms:
                pseudonyms.write_table(draft)
        figures = tuple(folder / figure.relative_to(draft) for figure in evaluation.figures)
        return replace(evaluation, figures=figures), folder

    def _load(self, session: Session) -> tuple[Session, nn.Module, int, dict[str, Any]]:
        """The session with its evaluator, the model, the step of its weights, and what the summary has of others."""
        if not self.others:
            step = load_trained(session, self.folder, self.checkpoint)
            return session, session.model, step, {}
        joined = load_members(session, self.folder, self.others, self.checkpoint, self.average)
        first, *steps = joined.steps
        others = [{"run": member.folder.name, "step": step} for member, step in zip(self.others, steps, strict=True)]
        return (
            replace(session, evaluator=joined.evaluator),
            joined.model,
            first,
            {
                "average": joined.averaged,
                "with": others,
            },
        )

    def _choose(self, session: Session) -> Chosen:
        """The cases to score."""
        dataset, split, prepared = session.dataset, session.task.evaluation.split, partial(self.progress, "prepare")
        if self.data:
            return external_cases(dataset, self.origin, self.trained, prepared)
        assert self.origin, "see `check`"
        return own_cases(dataset, self.origin, split, prepared)


def options_of_folder(data: Path, task: Task) -> list[str]:
    """The overrides by which a run's data set is that of another folder, with no split of its own."""
    own = [
        f"dataset.{name}=null" for name in ("split", "fold", "has_unknown") if name in type(task.dataset).model_fields
    ]
    datalist = getattr(task.dataset, "datalist", None)
    own += ["dataset.datalist=null"] if datalist and not (data / datalist).is_file() else []
    return [f"dataset.root={json.dumps(str(data.expanduser().absolute()))}", *own]


def _label(split: str, task: Task, step: int, changes: Mapping[str, object]) -> str:
    return f"{split}-{task.evaluation.protocol.name}-{step}{_mark(changes)}"


def _mark(changes: Mapping[str, object]) -> str:
    """Tells evaluations apart whose names would be the same."""
    unnamed = {key: value for key, value in changes.items() if key not in ("evaluation.split", "evaluation.protocol")}
    text = json.dumps(unnamed, sort_keys=True, default=str)
    return f"-{digest_of(text.encode(), 3)}" if unnamed else ""
