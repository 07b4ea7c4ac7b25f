"""The sqlite file in which runs are tracked: created whole or not at all, and usable after its folder is moved."""

import fcntl
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from medvid.files import make_folder, write_bytes, writing

logger = logging.getLogger("medvid")

ARTIFACTS = "mlartifacts"
"""The folder beside the database that holds pictures and tables of runs."""
HOME = "medvid.store"
"""Tag of an experiment: the database's folder when the experiment was made."""
QUIET = 2.0
"""Seconds without a change after which no process is working on a database."""


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Keep other processes out while the tables are made or repaired.

    Raises:
        ResourceError: the folder cannot be written.
    """
    make_folder(file.parent)
    with writing(file), file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a loader worker forked meanwhile holds the file open too.
            fcntl.flock(lock, fcntl.LOCK_UN)


def ensure_usable(file: Path) -> None:
    """Make the database, or repair it after a kill or a move; to be called within `exclusive`.

    Args:
        file: the sqlite file; its folder exists.
    """
    if file.exists() and file.stat().st_size and _is_half_made(file):
        aside = file.with_name(f"{file.name}.incomplete-{time.strftime('%Y%m%d-%H%M%S')}")
        file.rename(aside)
        logger.warning(
            "%s was incomplete and empty (its creator was probably killed); it is kept as %s, and a new one is made",
            file, aside.name,
        )  # fmt: skip
    if not file.exists() or not file.stat().st_size:
        _create(file)
    _follow_move(file)


def newest_experiment(file: Path) -> str | None:
    """The id of the experiment of the run that started last; None without runs."""
    with closing(_connect(file)) as database:
        found = database.execute(
            "SELECT experiment_id FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time DESC LIMIT 1"
        ).fetchone()
    return str(found[0]) if found else None


def artifact_root(file: Path) -> str:
    """The folder of artifacts: beside the database, for the owner only."""
    folder = file.with_name(ARTIFACTS)
    make_folder(folder, mode=0o700)
    return str(folder)


def _create(file: Path) -> None:
    """Make the tables elsewhere, which takes seconds, and move them here in one step, so that a kill leaves no half."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix="medvid-") as folder:
        draft = Path(folder) / file.name
        MlflowClient(f"sqlite:///{draft}")
        write_bytes(file, draft.read_bytes())


def _is_half_made(file: Path) -> bool:
    """Whether it has no runs and MLflow's tables are incomplete, so that MLflow can neither use nor finish it."""
    deadline = time.monotonic() + 10 * QUIET
    while (
        time.time() - file.stat().st_mtime < QUIET and time.monotonic() < deadline
    ):  # `mlflow server` may be making it
        if _revision(file) == _newest_revision():
            return False
        time.sleep(QUIET / 10)
    return _counts_no_runs(file) and _revision(file) != _newest_revision()


def _counts_no_runs(file: Path) -> bool:
    with closing(_connect(file)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return True
        return database.execute("SELECT 1 FROM runs").fetchone() is None


def _revision(file: Path) -> str | None:
    """The version of the tables, by MLflow's own record."""
    with closing(_connect(file)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return found[0] if found else None


def _newest_revision() -> str | None:
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent)).get_current_head()


def _follow_move(file: Path) -> None:
    """After a move, point experiments and their runs to the artifacts beside the database again."""
    with closing(_connect(file)) as database, database:
        moved = database.execute(
            "SELECT experiment_id, value FROM experiment_tags WHERE key = ? AND value != ?", (HOME, str(file.parent))
        ).fetchall()
        for experiment, before in moved:
            _move_artifacts(database, experiment, f"{before}/{ARTIFACTS}", str(file.with_name(ARTIFACTS)))
            database.execute(
                "UPDATE experiment_tags SET value = ? WHERE experiment_id = ? AND key = ?",
                (str(file.parent), experiment, HOME),
            )
    if moved:
        logger.warning(
            "%s was in %s before: artifacts of its runs are now read and written in %s",
            file, " and ".join(sorted({before for _, before in moved})), file.with_name(ARTIFACTS),
        )  # fmt: skip


def _move_artifacts(database: sqlite3.Connection, experiment: int, before: str, now: str) -> None:
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        database.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 (names of our own)
            f"WHERE experiment_id = ? AND ({column} = ? OR substr({column}, 1, ?) = ?)",
            (now, len(before) + 1, experiment, before, len(before) + 1, f"{before}/"),
        )


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=30)
