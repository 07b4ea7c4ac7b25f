"""Rebuilds or completes the MLflow run of a run folder, after the server was down or the process was killed."""

from pathlib import Path

from medvid.errors import MedvidError
from medvid.files import read_json
from medvid.plugin.events import RunInfo
from medvid.redaction import redact
from medvid.runs.folder import RunFolder
from medvid.runs.origin import read_task
from medvid.tracking.record import Record, read_record
from medvid.tracking.store import hide_credentials, set_defaults, tracking_uri


def sync(path: Path) -> Record:
    """Upload to MLflow any results of a run that it is missing.

    Args:
        path: the run folder.

    Returns:
        Where the run is tracked.

    Raises:
        ConfigError: it is not a run folder.
        LockedError: the run is in progress.
        MedvidError: MLflow cannot be reached or used.
    """
    folder = RunFolder.find(path)
    uri = hide_credentials(tracking_uri(folder.path))
    set_defaults()
    with folder.lock():
        from medvid.tracking.mirror import Mirror  # imports MLflow, which reads the settings above

        try:
            # A run without a summary was killed before it could write one.
            Mirror(read_run(folder), uri).finish(read_json(folder.summary).get("status", "killed"))
        except Exception as error:  # MLflow, its store and the network raise many kinds
            raise MedvidError(
                f"MLflow at {redact(uri)} does not accept the run: {redact(str(error))}",
                hint="start the server, or set MLFLOW_TRACKING_URI, and try again",
            ) from None
    record = read_record(folder.path)
    assert record is not None, "Mirror writes it"
    return record


def read_run(folder: RunFolder) -> RunInfo:
    """The information that hooks got about a run, from the files in its folder."""
    config = read_task(folder.resolved)
    environment, summary = read_json(folder.environment), read_json(folder.summary)
    return RunInfo(
        name=folder.name,
        task=config["name"],
        folder=folder.path,
        config=config,
        seed=config["seed"],
        demo=bool(config.get("demo")),
        start_step=0,
        steps=config["train"]["steps"],
        device=summary.get("device", ""),
        plugins=environment.get("plugins", {}),
        environment=environment,
        datasets=read_json(folder.data),
        unverified=tuple(environment.get("unverified_plugins", ())),
    )
