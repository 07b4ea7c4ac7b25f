"""The sqlite file survives the death of who makes it, and is never given up while there is something in it."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest
from mlflow import MlflowClient

from medvid.plugin.events import RunInfo
from medvid.tracking import database
from medvid.tracking.mirror import Mirror
from medvid.tracking.mlflow import run_id
from medvid.tracking.store import tracking_uri


def half(file: Path, statement: str) -> None:
    """Leave a database as MLflow does when it is killed in the midst of making its tables."""
    with closing(sqlite3.connect(file)) as made, made:
        made.execute(statement)
    os.utime(file, (0, 0))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '451aebb31d03'",
    ],
)
def test_a_database_that_was_killed_in_the_making_is_made_anew(
    run: RunInfo, workdir: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    half(workdir / "mlflow.db", statement)
    Mirror(run, tracking_uri())
    assert MlflowClient(tracking_uri()).get_run(run_id(run.folder)).info.status == "RUNNING"
    assert len(list(workdir.glob("mlflow.db.incomplete-*"))) == 1
    assert "incomplete and empty" in caplog.text


def test_a_database_with_runs_is_never_put_aside(run: RunInfo, workdir: Path) -> None:
    Mirror(run, tracking_uri())
    half(workdir / "mlflow.db", "DELETE FROM alembic_version")
    database.ensure_usable(workdir / "mlflow.db")
    assert not list(workdir.glob("mlflow.db.incomplete-*"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("seconds", [0.4, 1.0])
def test_kills_while_it_is_made_leave_none_or_a_whole_one(workdir: Path, seconds: float) -> None:
    file = workdir / "mlflow.db"
    file.unlink()
    process = get_context("fork").Process(target=database.ensure_usable, args=(file,))
    process.start()
    time.sleep(seconds)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not file.exists() or database._revision(file) == database._newest_revision()
