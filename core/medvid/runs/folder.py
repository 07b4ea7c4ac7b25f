"""The run folder: everything a run leaves behind, and the lock that keeps two processes apart."""

import json
import logging
import secrets
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from medvid.errors import ConfigError, LockedError
from medvid.files import json_text, make_folder, remove_drafts, replace_folder, write_bytes, write_text
from medvid.locks import hold

PRIVATE = 0o700
"""Permissions of a run folder."""

DAY = 86400.0
"""Seconds after which a draft counts as left behind by a kill, not in use by another process."""

_CHECK = ', "crc": '
"""The text before the checksum at the end of a line of metrics.jsonl."""


def is_run_folder(path: Path) -> bool:
    """Whether there is a run in a folder."""
    return RunFolder(path).resolved.is_file()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run folder.

    Args:
        path: the folder, ``runs/<task>/<run>``.
    """

    path: Path

    @classmethod
    def propose(cls, output: Path, task: str, label: str) -> "RunFolder":
        """A folder ``<output>/<task>/<label>-<date>-<time>-<4 hex digits>``, which does not exist yet."""
        return cls((output / task / f"{label}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}").absolute())

    @contextmanager
    def creating(self, original: str, resolved: str) -> Iterator["RunFolder"]:
        """Make the folder together with the task files; for its owner only, since it will hold slices of patients.

        Args:
            original: text of the task file as the user wrote it.
            resolved: the task with every option.

        Yields:
            The folder under another name, to put more into: it gets its own, with all that is in it, after the block.

        Raises:
            ResourceError: the disk is full or not writable.
            LockedError: another process has made a run there meanwhile.
        """
        make_folder(self.path.parent)
        remove_drafts(self.path.parent, DAY)
        with suppress(OSError):
            self.path.rmdir()  # an empty one, which the user has made
        try:
            with replace_folder(self.path, PRIVATE) as draft:
                draft.chmod(PRIVATE)  # independent of the umask
                write_text(draft / self.original.name, original, 0o600)  # it can name cases
                write_text(draft / self.resolved.name, resolved, 0o600)
                (draft / self.lock_file.name).touch()
                yield RunFolder(draft)
        except FileExistsError:
            raise LockedError(
                f"another process has made {self.path} meanwhile", hint="it may be the same run: wait for it"
            ) from None

    @classmethod
    def find(cls, path: Path) -> "RunFolder":
        """An existing run folder.

        Raises:
            ConfigError: it is not a run folder.
        """
        folder = cls(path.absolute())
        if not folder.resolved.is_file():
            raise ConfigError(
                f"{path} is not a run folder: it has no {folder.resolved.name}",
                hint="pass the folder that `platform run` printed, runs/<task>/<run>",
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
    def origin(self) -> Path:
        """The state at the start of the run, see `medvid.runs.origin`; names cases, so it stays in the folder."""
        return self.path / "origin.json"

    @property
    def profile(self) -> Path:
        """The size of the model, and where the time of the training went, see `medvid.runs.short_profile`."""
        return self.path / "profile.json"

    @property
    def metrics(self) -> Path:
        """One JSON object per line: step, split, time, values. The source for trackers."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def cases(self) -> Path:
        """Per-case results of the closing evaluation."""
        return self.path / "cases.csv"

    @property
    def postprocessing(self) -> Path:
        """What the run has chosen to do with predictions, see `medvid.runs.postprocessing`."""
        return self.path / "postprocessing.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        """Number of cases and digest of each split, without names, for trackers."""
        return self.path / "data.json"

    def unreadable(self, rank: int) -> Path:
        """The training cases that a process could not read, with the reasons; does not exist if there are none."""
        return self.path / (f"unreadable-{rank}.json" if rank else "unreadable.json")

    def failure(self, rank: int) -> Path:
        """Why another process failed, for the first one to report; beside the folder, which can come later."""
        return self.path.with_name(f".{self.name}-failure-{rank}.json")

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

    @property
    def lock_file(self) -> Path:
        """Names the holder of the lock."""
        return self.path / ".lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out. The lock is the operating system's, so it ends with this process.

        The file's previous content is restored, so that a refused run leaves the folder unchanged.

        Raises:
            LockedError: another process works in this folder.
            ResourceError: the folder is not writable.
        """
        with hold(self.lock_file, self.path):
            yield


@contextmanager
def keep_log() -> Iterator[MemoryHandler]:
    """Within the block, log records are also kept, until there is a file for `log_to` to write them to."""
    kept = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL + 1)
    logger = logging.getLogger("medvid")
    logger.addHandler(kept)
    try:
        yield kept
    finally:
        logger.removeHandler(kept)


@contextmanager
def log_to(path: Path, kept: MemoryHandler) -> Iterator[None]:
    """Within the block, log records are also written to a file, with tracebacks, after the records kept before."""
    logger = logging.getLogger("medvid")
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.removeHandler(kept)
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
    """Append one line to metrics.jsonl, with a checksum, since a damaged figure still looks like one.

    An undefined figure is null.
    """
    record = {"step": step, "split": split, "time": round(time.time(), 3), "values": dict(values)}
    text = json_text(record)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text[:-1]}{_CHECK}{zlib.crc32(text.encode())}}}\n")


def parse_metrics(line: bytes) -> dict[str, Any] | None:
    """The record of a line of metrics.jsonl, without its checksum; None if the line was damaged."""
    body, check, checksum = line.strip().rpartition(_CHECK.encode())
    text = body + b"}" if check else checksum
    try:
        if check and zlib.crc32(text) != int(checksum.removesuffix(b"}")):
            return None
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.keys() == {"step", "split", "time", "values"} else None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl; damaged lines are logged, except a last one that a kill cut short."""
    return [record for _, record in _read_lines(path)]


def rewind_metrics(path: Path, step: int) -> None:
    """Drop the records after a step, which a resumed run will write again, and damaged lines."""
    kept = b"".join(line for line, record in _read_lines(path) if record["step"] <= step)
    if path.exists() and kept != path.read_bytes():
        write_bytes(path, kept)


def _read_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The complete lines of metrics.jsonl with their records."""
    *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    for number, line in enumerate(lines, start=1):
        if record := parse_metrics(line):
            yield line + b"\n", record
        else:
            logging.getLogger("medvid").warning("%s:%d is damaged and left out", path, number)
