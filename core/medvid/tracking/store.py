"""Which MLflow store runs are tracked in, and how to get at it without surprises."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medvid.tracking.record import read_record
from medvid.tracking.redaction import split_credentials

SQLITE = "sqlite:///"
DEFAULT_URI = f"{SQLITE}mlflow.db"

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # What goes wrong is reported once, in one line, instead of with a traceback at each attempt.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own defaults wait up to four minutes for a server that is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Settings for MLflow in this process, where the user has made none."""


def tracking_uri(folder: Path | None = None) -> str:
    """The store to use: MLFLOW_TRACKING_URI, else the one a run is in already, else mlflow.db in the working directory.

    The path of an sqlite file is made absolute; user name and password stay in.

    Args:
        folder: the folder of that run.
    """
    record = read_record(folder) if folder else None
    uri = os.environ.get("MLFLOW_TRACKING_URI") or (record.tracking_uri if record else DEFAULT_URI)
    file = database(uri)
    return f"{SQLITE}{file}" if file else uri


def database(uri: str) -> Path | None:
    """The file of an sqlite URI, absolute; None for any other store."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def set_defaults() -> None:
    """Apply `DEFAULTS`; MLflow reads some of them only once, when it is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def hide_credentials(uri: str) -> str:
    """Take a user name and password out of the URI of a server, and hand them to MLflow in another way.

    That is through the environment variables made for them, so that no message of MLflow or below can contain them.
    """
    clean, credentials = split_credentials(uri)
    if not (credentials and uri.startswith("http")):
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = credentials
    return clean


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Keep other processes out while an sqlite store is created: two that create its tables at once fail."""
    file = database(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a loader worker forked meanwhile holds the file open too.
            fcntl.flock(lock, fcntl.LOCK_UN)


def artifact_root(uri: str) -> str | None:
    """Where an sqlite store's artifacts go: mlartifacts beside it, for the owner only. A server decides itself."""
    file = database(uri)
    if file is None:
        return None
    folder = file.with_name("mlartifacts")
    folder.mkdir(mode=0o700, exist_ok=True)
    return str(folder)
