"""The MLflow experiment and run of a run, according to its task, MLflow's own variables and its folder."""

import logging
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from medvid.errors import ConfigError
from medvid.plugin.events import RunInfo
from medvid.redaction import split_credentials
from medvid.tracking import content
from medvid.tracking.database import HOME, artifact_root
from medvid.tracking.record import Record, is_copy, read_record, write_record
from medvid.tracking.store import database

logger = logging.getLogger("medvid")

OWNER = "medvid.run"
"""Tag of an MLflow run: the name of the run that it mirrors."""
UNUSED = ("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING",)
"""Variables of MLflow that ask for something medvid does not do."""


def known_run(client: MlflowClient, run: RunInfo, uri: str) -> Run | None:
    """The MLflow run that mlflow.json names, unless it is in another store, deleted, or belongs to another folder."""
    record = read_record(run.folder)
    if record is None:
        return None
    if is_copy(run.folder, record):
        logger.warning("%s is a copy of %s: it gets its own MLflow run", run.folder, record.folder)
        return None
    if record.tracking_uri != split_credentials(uri)[0] and not _is_gone(record.tracking_uri):
        return None
    try:
        tracked = client.get_run(record.run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if tracked.info.lifecycle_stage != "active":
        return None
    _remember(run.folder, tracked, uri)
    return tracked


def new_run(client: MlflowClient, run: RunInfo, uri: str, start_ms: int, key: Mapping[str, str] | None = None) -> Run:
    """The MLflow run that MLFLOW_RUN_ID names, else a new one in the wanted experiment.

    Args:
        client: of the store.
        run: the run.
        uri: the store.
        start_ms: when it began, in milliseconds since 1970.
        key: tags by which a run is known that was made without having been noted in mlflow.json.

    Raises:
        ConfigError: a variable of MLflow names something that does not exist or is in use.
    """
    for name in UNUSED:
        if os.environ.get(name, "").lower() in ("true", "1"):
            logger.warning("%s is set, but medvid does not log what it asks for", name)
    tracked = _given_run(client, run)
    if tracked is None:
        experiment = _experiment(client, run, uri)
        tracked = _keyed_run(client, experiment, key) or client.create_run(
            experiment, start_time=start_ms, run_name=run.name, tags=key and dict(key)
        )
    _remember(run.folder, tracked, uri)
    return tracked


def _remember(folder: Path, tracked: Run, uri: str) -> None:
    record = Record(split_credentials(uri)[0], tracked.info.experiment_id, tracked.info.run_id, str(folder.absolute()))
    if read_record(folder) != record:
        write_record(folder, record)


def _is_gone(uri: str) -> bool:
    file = database(uri)
    return file is not None and not file.exists()


def _given_run(client: MlflowClient, run: RunInfo) -> Run | None:
    """The run of MLFLOW_RUN_ID, which `mlflow run` and job schedulers set."""
    given = os.environ.get("MLFLOW_RUN_ID")
    if not given:
        return None
    try:
        tracked = client.get_run(given)
    except MlflowException as error:
        raise ConfigError(f"MLFLOW_RUN_ID is {given}: {error.message}", hint="unset it for a new MLflow run") from None
    owner = tracked.data.tags.get(OWNER, run.name)
    if tracked.info.lifecycle_stage != "active" or owner != run.name:
        reason = f"it has the figures of {owner}" if owner != run.name else "it was deleted in MLflow"
        raise ConfigError(f"MLFLOW_RUN_ID is {given}, but {reason}", hint="unset it for a new MLflow run")
    return tracked


def _keyed_run(client: MlflowClient, experiment: str, key: Mapping[str, str] | None) -> Run | None:
    """A run that has these tags, which whoever was to note it was killed before it could."""
    if not key:
        return None
    asked = " and ".join(f"tags.`{name}` = '{value}'" for name, value in key.items())
    return next(iter(client.search_runs([experiment], asked, max_results=1)), None)


def _experiment(client: MlflowClient, run: RunInfo, uri: str) -> str:
    """The id of the experiment: from the task's tracking block, from MLflow's variables, or named after the task."""
    asked = run.config.get("tracking", {}).get("experiment")
    name, number = os.environ.get("MLFLOW_EXPERIMENT_NAME"), os.environ.get("MLFLOW_EXPERIMENT_ID")
    if asked:
        for variable, value in (("MLFLOW_EXPERIMENT_NAME", name), ("MLFLOW_EXPERIMENT_ID", number)):
            if value and value != asked:
                logger.warning("%s=%s is not used: the task's tracking.experiment is %r", variable, value, asked)
    elif number:
        return _numbered(client, number, name)
    return _named(client, content.experiment_name(asked or name or run.task), uri)


def _numbered(client: MlflowClient, number: str, name: str | None) -> str:
    try:
        found = client.get_experiment(number)
    except MlflowException as error:
        raise ConfigError(f"MLFLOW_EXPERIMENT_ID is {number}: {error.message}") from None
    if found.lifecycle_stage != "active":
        raise ConfigError(f"MLFLOW_EXPERIMENT_ID is {number}, an experiment that was deleted in MLflow")
    if name and found.name != name:
        raise ConfigError(
            f"MLFLOW_EXPERIMENT_ID is {number}, the experiment {found.name!r}, but MLFLOW_EXPERIMENT_NAME is {name!r}",
            hint="unset one of them",
        )
    return str(found.experiment_id)


def _named(client: MlflowClient, name: str, uri: str) -> str:
    """The experiment with a name, or if it was deleted, with the first free ``name (2)``: nothing is restored."""
    for attempt in count(1):
        candidate = name if attempt == 1 else f"{name} ({attempt})"
        found = client.get_experiment_by_name(candidate) or _create(client, candidate, uri)
        if found.lifecycle_stage == "active":
            if attempt > 1:
                logger.warning(
                    "the MLflow experiment %r was deleted: this run goes to %r. To get the old one back, restore it "
                    "in MLflow; to get its name back, delete it for good with `mlflow gc`",
                    name, candidate,
                )  # fmt: skip
            return str(found.experiment_id)
    raise AssertionError("count has no end")


def _create(client: MlflowClient, name: str, uri: str) -> Experiment:
    file = database(uri)
    try:
        made = client.create_experiment(
            name, artifact_root(file) if file else None, {HOME: str(file.parent)} if file else None
        )
    except MlflowException:  # another process may have been faster
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found
    return client.get_experiment(made)
