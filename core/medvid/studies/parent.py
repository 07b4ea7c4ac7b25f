"""The MLflow run of a study: the parent of those of its cells, with their aggregates as its metrics.

MLflow aggregates nothing by itself. What is logged is read from the study's folder, so whoever comes next adds what a
kill or a server that was down has left out. No failure of MLflow reaches the study.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvid.digests import digest_of
from medvid.plugin.events import RunInfo
from medvid.redaction import redact
from medvid.runs.origin import read_task
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.states import State
from medvid.studies.table import Together
from medvid.tracking import content
from medvid.tracking.record import read_record
from medvid.tracking.store import hide_credentials, ready, set_defaults, tracking_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Metric, Run

logger = logging.getLogger("medvid")

KEY = "medvid.study"
"""Tag of a parent: a digest that tells its study's folder from all others."""
PARENT = "mlflow.parentRunId"
DONE = "cells/done"
"""The metric of how many cells have finished."""
_OPEN = {State.WAITING, State.INTERRUPTED, State.RUNNING}


def begin_parent(folder: StudyFolder, configuration: str) -> None:
    """Make the study's MLflow run, or find and open it again, so that cells can name it as their parent.

    Args:
        folder: of the study, whose lock this process holds.
        configuration: whose task says in which experiment.
    """
    with _tolerated(folder) as uri:
        _Parent(folder, configuration, uri).set_status("RUNNING")


def update_parent(
    folder: StudyFolder, configuration: str, cells: Mapping[Cell, State], found: Together, *, ended: bool
) -> None:
    """Log what the finished cells say together, and close the run once all have ended.

    Args:
        folder: of the study, whose lock this process holds.
        configuration: whose task says in which experiment.
        cells: of the study, with their states.
        found: written into the folder already.
        ended: whether no further cells come.
    """
    with _tolerated(folder) as uri:
        parent = _Parent(folder, configuration, uri)
        parent.adopt([cell for cell, state in cells.items() if state is not State.WAITING])
        parent.log(found)
        if ended and not _OPEN & set(cells.values()):
            parent.set_status("FAILED" if State.FAILED in cells.values() else "FINISHED")


class _Parent:
    """The MLflow run of a study; made by continuing or creating it.

    Args:
        folder: of the study.
        configuration: whose task says in which experiment.
        uri: the store.
    """

    def __init__(self, folder: StudyFolder, configuration: str, uri: str) -> None:
        from mlflow import MlflowClient

        from medvid.tracking.destination import OWNER, known_run, new_run

        self._folder, self._config = folder, read_task(folder.task(configuration))
        run, key = _described(folder, self._config), {KEY: _key(folder.path)}
        with ready(uri):
            self._client: MlflowClient = MlflowClient(uri)
            self._run: Run = known_run(self._client, run, uri) or new_run(
                self._client, run, uri, int(time.time() * 1000), key
            )
        self._id: str = self._run.info.run_id
        for name, value in {**key, OWNER: folder.name, "study.name": folder.name, "task": run.task}.items():
            if self._run.data.tags.get(name) != value:
                self._client.set_tag(self._id, name, value)

    def adopt(self, cells: Sequence[Cell]) -> None:
        """Tag the runs of cells that began without a parent, or with one that is gone."""
        experiment = self._run.info.experiment_id
        known = {run.info.run_id for run in self._children(experiment)}
        for cell in cells:
            record = read_record(cell.run_folder(self._folder).path)
            if record is None or record.run_id in known:
                continue
            if record.experiment_id != experiment:
                logger.warning("the MLflow run of %s is in another experiment than that of its study", cell.name)
            else:
                self._client.set_tag(record.run_id, PARENT, self._id)

    def _children(self, experiment: str) -> "Iterator[Run]":
        page, asked = None, f"tags.`{PARENT}` = '{self._id}'"
        while page != "":
            found = self._client.search_runs([experiment], asked, max_results=1000, page_token=page)
            yield from found
            page = found.token or ""

    def log(self, found: Together) -> None:
        """Log the aggregates, unless as many finished cells are known already, and copy the table."""
        if self._run.data.metrics.get(DONE, -1) >= found.finished or not found.finished:
            return
        from medvid.tracking.mirror import METRICS_PER_BATCH

        names_cases = content.names_cases(self._config)
        has_real_names = names_cases and not content.has_pseudonyms(self._config)
        files = [self._folder.table, self._folder.summary, *([self._folder.cases] if names_cases else [])]
        files += [self._folder.study, self._folder.splits] if has_real_names else []
        for path in files:
            if path.is_file():
                self._client.log_text(self._id, redact(path.read_text(encoding="utf-8")), path.name)
        for picture in sorted(self._folder.figures.glob("*.png")):
            self._client.log_artifact(self._id, str(picture), self._folder.figures.name)
        self._client.set_tag(self._id, "mlflow.note.content", self._folder.table.read_text()[: content.MAX_TAG])
        metrics = _metrics(found)
        for start in range(0, len(metrics), METRICS_PER_BATCH):
            self._client.log_batch(self._id, metrics=metrics[start : start + METRICS_PER_BATCH])

    def set_status(self, status: str) -> None:
        """Say that cells run, or that all have ended."""
        if self._run.info.status == status:
            return
        if status == "RUNNING":
            self._client.update_run(self._id, status=status)
        else:
            self._client.set_terminated(self._id, status)


@contextmanager
def _tolerated(folder: StudyFolder) -> "Iterator[str]":
    """Give the store; within the block, errors of it and of the network are said in a line, and that is all."""
    uri = hide_credentials(tracking_uri(folder.path))
    set_defaults()
    try:
        yield uri
    except Exception as error:  # MLflow, its store and the network raise many kinds
        reason = redact(f"{type(error).__name__}: {error}".partition("\n")[0])[:300]
        logger.warning(
            "MLflow at %s does not accept the study at present (%s); platform study status %s adds what it lacks",
            redact(uri),
            reason,
            folder.path,
        )


def _described(folder: StudyFolder, config: Mapping[str, Any]) -> RunInfo:
    """The study as what is tracked: in the experiment of its first configuration."""
    return RunInfo(
        name=folder.name,
        task=config["name"],
        folder=folder.path,
        config=config,
        seed=config["seed"],
        demo=bool(config.get("demo")),
        start_step=0,
        steps=0,
        device="",
        plugins={},
        environment={},
        datasets={},
    )


def _key(path: Path) -> str:
    """Tells a study's folder from others, also from an earlier one in its place; says nothing of its name."""
    return digest_of(f"{path.absolute()}:{path.stat().st_ino}".encode(), 16)


def _metrics(found: Together) -> "list[Metric]":
    """The aggregates at the number of finished cells, ``dice/mean``; of several configurations ``unetr/dice/mean``."""
    from mlflow.entities import Metric

    now, values = int(time.time() * 1000), dict[str, float]()
    for name, one in found.configurations.items():
        prefix = f"{name}/" if len(found.configurations) > 1 else ""
        for metric, of in one.metrics.items():
            values |= {
                f"{prefix}{metric}/mean": of.value,
                f"{prefix}{metric}/ci95_low": of.interval.low,
                f"{prefix}{metric}/ci95_high": of.interval.high,
                f"{prefix}{metric}/sd_seeds": of.sd_seeds,
                f"{prefix}{metric}/sd_folds": of.sd_folds,
            }
    values[DONE] = found.finished  # the last, so that it says that the others are there
    return [
        Metric(content.safe_key(key), value, now, found.finished)
        for key, value in values.items()
        if math.isfinite(value)
    ]
