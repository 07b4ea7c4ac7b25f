"""The run folder: everything a run leaves behind, and the lock that keeps two processes apart."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from medvid.errors import ConfigError, LockedError
from medvid.files import json_text, write_text


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names of what a run folder holds.

    Args:
        path: the folder, ``runs/<task>/<run>``.
    """

    path: Path

    @classmethod
    def create(cls, output: Path, task: str, label: str) -> "RunFolder":
        """Make a new folder ``<output>/<task>/<label>-<date>-<time>``, with a number behind it if it is taken."""
        stem = f"{label}-{datetime.now():%Y%m%d-%H%M%S}"
        number = 1
        while True:
            path = (output / task / (stem if number == 1 else f"{stem}-{number}")).absolute()
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return cls(path)

    @classmethod
    def find(cls, path: Path) -> "RunFolder":
        """An existing run folder.

        Raises:
            ConfigError: it is none.
        """
        folder = cls(path.absolute())
        if not folder.resolved.is_file():
            raise ConfigError(
                f"{path} is not a run folder: it has no {folder.resolved.name}",
                hint="give the folder that `platform run` printed, runs/<task>/<run>",
            )
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def original(self) -> Path:
        """The task file as the user wrote it."""
        return self.path / "task.yaml"

    @property
    def resolved(self) -> Path:
        """The task with overlays and overrides applied and every default filled in."""
        return self.path / "resolved.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object per line: step, split, time, values. The truth that trackers mirror."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def cases(self) -> Path:
        """Per-case results of the closing evaluation."""
        return self.path / "cases.csv"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        """Number of cases and digest of each split, which a resumed run must find again."""
        return self.path / "data.json"

    def unreadable(self, rank: int) -> Path:
        """The training cases that a process could not read, with the reasons; not there if there are none."""
        return self.path / (f"data_report-{rank}.json" if rank else "data_report.json")

    def failure(self, rank: int) -> Path:
        """Why a process other than the first failed, for the first to tell."""
        return self.path / f".failure-{rank}.json"

    @property
    def log(self) -> Path:
        """With tracebacks."""
        return self.log_of(0)

    def log_of(self, rank: int) -> Path:
        """The log of a process."""
        return self.path / (f"run-{rank}.log" if rank else "run.log")

    @property
    def summary(self) -> Path:
        """How the run ended, for scripts."""
        return self.path / "summary.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out. The lock is the operating system's, so it ends with this process.

        Raises:
            LockedError: another process works in this folder.
        """
        with (self.path / ".lock").open("a+") as file:
            try:
                # A record lock, as flock would be inherited by loader workers, who outlive a killed run by seconds.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                raise LockedError(
                    f"{self.path} is in use by {file.read().strip() or 'another process'}",
                    hint="wait for it, or stop it",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()}, started {datetime.now():%Y-%m-%d %H:%M:%S}")
            file.flush()
            yield


@contextmanager
def keep_log() -> Iterator[MemoryHandler]:
    """Within the block, what medvid logs is also kept, until there is a file for `log_to` to write it to."""
    kept = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL + 1)
    logger = logging.getLogger("medvid")
    logger.addHandler(kept)
    try:
        yield kept
    finally:
        logger.removeHandler(kept)


@contextmanager
def log_to(path: Path, kept: MemoryHandler) -> Iterator[None]:
    """Within the block, what medvid logs is also written to a file, with tracebacks; before it, what was kept."""
    logger = logging.getLogger("medvid")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    kept.setTarget(handler)
    kept.close()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def append_metrics(path: Path, step: int, split: str, values: Mapping[str, float]) -> None:
    """Append one line to metrics.jsonl; a figure that is not defined is null."""
    record = {"step": step, "split": split, "time": round(time.time(), 3), "values": dict(values)}
    with path.open("a") as file:
        file.write(json_text(record) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl; a last line that a kill cut short is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def rewind_metrics(path: Path, step: int) -> None:
    """Drop the records behind a step, which a resumed run will write again."""
    kept = [record for record in read_metrics(path) if record["step"] <= step]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
