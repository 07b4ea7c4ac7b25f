"""What a run tells while it runs: figures to its folder, events to the plugins. Only the first process tells."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medvid.data.dataset import Progress
from medvid.errors import Interrupted
from medvid.files import write_json
from medvid.plugin.events import Evaluation, RunInfo, RunResult, RunStatus
from medvid.runs.environment import describe_environment
from medvid.runs.folder import RunFolder, append_metrics
from medvid.runs.session import Session
from medvid.training.checkpoint import best_step, checkpoint_path, checkpoint_step, checkpoints
from medvid.training.device import describe_device


def describe_run(session: Session, folder: RunFolder, checkpoint: Path | None, extends: str = "") -> RunInfo:
    """What observers are told of a run at its start, or when it continues from a checkpoint, perhaps of another run."""
    task = session.task
    used = session.checked.host.used_by(session.checked.components)
    plugins = {plugin.distribution: plugin.version for plugin in used}
    unverified = tuple(dict.fromkeys(plugin.distribution for plugin in used if plugin.editable))
    environment = describe_environment(plugins, unverified)
    if session.pseudonyms:
        environment["command"] = " ".join([*environment["command"].split()[:2], "..."])  # others may be paths
    return RunInfo(
        name=folder.name,
        task=task.name,
        folder=folder.path,
        config=task.model_dump(mode="json"),
        seed=task.seed,
        demo=task.demo is not None,
        start_step=checkpoint_step(checkpoint) if checkpoint else 0,
        steps=task.train.steps,
        device=describe_device(session.fabric),
        plugins=plugins,
        environment=environment,
        datasets={},
        unverified=unverified,
        extends=extends,
    )


class Report:
    """Tells of one execution of a run; a `medvid.training.progress.TrainingObserver`.

    Args:
        session: the task with its plugins and devices.
        folder: of the run.
        info: see `describe_run`.
    """

    def __init__(self, session: Session, folder: RunFolder, info: RunInfo) -> None:
        self._task, self._host, self._speaks = session.task, session.checked.host, session.fabric.is_global_zero
        self._folder, self.info = folder, info
        self._began = time.monotonic()

    def configured(self) -> None:
        """The run is about to begin.

        Raises:
            MedvidError: a plugin has a veto.
        """
        if self._speaks:
            self._host.veto(self.info)

    def prepared(self, datasets: Mapping[str, Mapping[str, Any]]) -> None:
        """The data is ready; what it is, by split."""
        self.info = replace(self.info, datasets=datasets)

    def started(self) -> None:
        """Training begins or continues."""
        self._notify("medvid_run_started")

    def progress(self, stage: str, values: Mapping[str, float] | None = None) -> Progress:
        """To be called while a stage advances."""
        told = MappingProxyType(dict(values or {}))
        return lambda done, total: self._notify("medvid_progress", stage=stage, done=done, total=total, values=told)

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        """The loop has trained some more steps."""
        self._record(step, "train", losses)
        self._record(step, "perf", speed)
        self.progress("train", losses | speed)(step, self._task.train.steps)

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        """There is a checkpoint."""
        self._notify("medvid_checkpoint_saved", path=path, step=step, is_best=is_best)

    def validated(self, evaluation: Evaluation) -> None:
        """There are figures of the weights of a step."""
        self._record(evaluation.step, evaluation.split, evaluation.metrics)
        self.evaluated(evaluation)

    def evaluated(self, evaluation: Evaluation) -> None:
        """There is an evaluation, with its figures in the records or the summary."""
        self._notify("medvid_evaluated", evaluation=evaluation)

    def finished(self, evaluation: Evaluation, trained: int) -> None:
        """The run is done, after so many steps."""
        result = self._result("finished", evaluation.metrics)
        self._summarise(
            result,
            step=evaluation.step,
            trained=trained,
            stopped_early=trained < self._task.train.steps,
            notes=evaluation.notes,
            better=evaluation.better,
            monitor=evaluation.monitor,
        )
        self._notify("medvid_run_finished", result=result)

    def failed(self, error: BaseException, *, has_begun: bool) -> None:
        """The run ends before it is done; of one that has not begun nothing is written."""
        result = self._result("killed" if isinstance(error, Interrupted) else "failed", {})
        if has_begun:
            self._summarise(result, error=f"{type(error).__name__}: {error}")
        self._notify("medvid_run_failed", result=result, error=error)

    def _result(self, status: RunStatus, metrics: Mapping[str, float]) -> RunResult:
        saved = list(checkpoints(self._folder.checkpoints))
        best = best_step(self._folder.checkpoints)
        return RunResult(
            status=status,
            seconds=time.monotonic() - self._began,
            metrics=metrics,
            best=checkpoint_path(self._folder.checkpoints, best) if best is not None else None,
            last=saved[-1] if saved else None,
        )

    def _summarise(self, result: RunResult, **more: Any) -> None:
        if not self._speaks:
            return
        write_json(
            self._folder.summary,
            {
                "status": result.status,
                "task": self._task.name,
                "run": self._folder.name,
                "data": "demo" if self._task.demo else "real",
                "metrics": result.metrics,
                "best": result.best and str(result.best.relative_to(self._folder.path)),
                "last": result.last and str(result.last.relative_to(self._folder.path)),
                "seconds": round(result.seconds, 1),
                "device": self.info.device,
                "versions": self.info.environment["versions"],
                "plugins": dict(self.info.plugins),
                "unverified_plugins": list(self.info.unverified),
                **more,
            },
        )

    def _record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        if self._speaks:
            append_metrics(self._folder.metrics, step, split, values)
            self._notify("medvid_metrics", split=split, step=step, values=MappingProxyType(dict(values)))

    def _notify(self, hook: str, **arguments: Any) -> None:
        if self._speaks:
            self._host.notify(hook, run=self.info, **arguments)
