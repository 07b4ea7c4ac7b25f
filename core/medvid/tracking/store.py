"""The MLflow store in which runs are tracked, and how to use it without surprises."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medvid.redaction import split_credentials
from medvid.tracking.database import ensure_usable, exclusive
from medvid.tracking.record import read_record

SQLITE = "sqlite:///"
DEFAULT_URI = f"{SQLITE}mlflow.db"
VIEW = "medvid"
"""Name of the view of a list of runs, see `medvid.tracking.view`."""

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Errors are reported once, in one line, instead of with a traceback at each attempt.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own defaults wait up to four minutes for a server that is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Settings for MLflow in this process, unless the user has set them."""


def tracking_uri(folder: Path | None = None) -> str:
    """The store to use: MLFLOW_TRACKING_URI, else a run's present store, else mlflow.db in the working directory.

    The path of an sqlite file is made absolute; user name and password stay in. If a run's sqlite file is gone, e.g.
    after its project was moved, it is looked for under the same name in the folders above the run.

    Args:
        folder: the folder of that run.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or (folder and _store_of(folder)) or DEFAULT_URI
    file = database(uri)
    return f"{SQLITE}{file}" if file else uri


def _store_of(folder: Path) -> str | None:
    record = read_record(folder)
    if record is None:
        return None
    file = database(record.tracking_uri)
    if file is None or file.exists():
        return record.tracking_uri
    candidates = (parent / file.name for parent in folder.absolute().parents)
    return next((f"{SQLITE}{candidate}" for candidate in candidates if candidate.exists()), None)


def database(uri: str) -> Path | None:
    """The file of an sqlite URI, absolute; None for any other store."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def set_defaults() -> None:
    """Apply `DEFAULTS`; MLflow reads some of them only once, when it is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def hide_credentials(uri: str) -> str:
    """Move a user name and password from a server's URI to MLflow's environment variables for them.

    So no message of MLflow or the libraries below can contain them.
    """
    clean, credentials = split_credentials(uri)
    if not (credentials and uri.startswith("http")):
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = credentials
    return clean


@contextmanager
def ready(uri: str) -> Iterator[None]:
    """Within the block the store exists, and no other process makes or repairs its sqlite file."""
    file = database(uri)
    if file is None:
        yield
        return
    with exclusive(file):
        ensure_usable(file)
        yield
