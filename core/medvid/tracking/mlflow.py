"""MLflow tracking, a builtin plugin on the lifecycle hooks.

The work is done by a thread that reads the run folder (`medvid.tracking.mirror`); the hooks start it, pass it what is
not in the folder, and end it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from medvid.files import read_json, write_json
from medvid.plugin.events import RunInfo, RunResult
from medvid.plugin.markers import hookimpl
from medvid.runs.folder import RunFolder
from medvid.tracking.record import read_record
from medvid.tracking.store import hide_credentials, set_defaults, tracking_uri

if TYPE_CHECKING:
    from medvid.tracking.worker import MirrorThread

CREATION_TIMEOUT = 30.0
"""Seconds that the end of a very short run waits for its MLflow run to be created."""

_threads: dict[Path, "MirrorThread"] = {}

set_defaults()  # on import, because MONAI imports MLflow long before the first hook is called


def run_id(folder: Path) -> str | None:
    """The id of the MLflow run that a run folder is mirrored to, if any."""
    record = read_record(folder)
    return record.run_id if record else None


@hookimpl
def medvid_run_started(run: RunInfo) -> None:
    """Start to mirror the run."""
    uri = hide_credentials(tracking_uri(run.folder))
    # MLflow is imported here and not in the thread: a loader worker that is forked while another thread imports a
    # module would wait for that module forever.
    from medvid.tracking.worker import MirrorThread

    _threads[run.folder] = thread = MirrorThread(run, uri)
    thread.start()


@hookimpl
def medvid_checkpoint_saved(run: RunInfo, step: int, is_best: bool) -> None:
    """Remember which step's validation figures are the best."""
    if is_best and (thread := _threads.get(run.folder)):
        thread.best_step = step


@hookimpl
def medvid_run_finished(run: RunInfo, result: RunResult) -> None:
    """Close the MLflow run as finished."""
    _finish(run, result, CREATION_TIMEOUT)


@hookimpl
def medvid_run_failed(run: RunInfo, result: RunResult) -> None:
    """Close the MLflow run as failed or killed."""
    _finish(run, result)


def _finish(run: RunInfo, result: RunResult, timeout: float = 0.0) -> None:
    if thread := _threads.pop(run.folder, None):
        thread.attempted.wait(timeout)
        try:
            summary = RunFolder(run.folder).summary
            write_json(summary, read_json(summary) | {"mlflow_run_id": run_id(run.folder)})
        finally:  # also where the disk is full
            thread.finish(result.status)
