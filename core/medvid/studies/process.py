"""A cell as a process of this machine."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import IO, Literal

from medvid.errors import LockedError
from medvid.files import json_text, make_folder, write_json
from medvid.locks import is_held, taken
from medvid.signals import STOP_SIGNALS
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.states import State, status_in

_ERROR = re.compile(r"^error(?:\[\w+\])?: .*", re.MULTILINE)
_TAIL = 1 << 16
"""Bytes at the end of a log in which the error is looked for."""
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")

Outcome = Literal["finished", "stopped", "killed", "taken", "failed"]
"""How the process of a cell has ended: also by a signal that asked it to, by one that did not ask, because another
process works on the cell, or with an error."""


@contextmanager
def claimed(study: StudyFolder, cell: Cell) -> Iterator[IO[bytes] | None]:
    """Within the block, no other process starts the cell.

    Yields:
        The cell's log, open for appending; None where another process works on the cell, or has finished it.
    """
    make_folder(study.logs)
    with cell.log(study).open("a+b") as log, taken(log) as is_ours:
        folder = cell.run_folder(study)
        is_done = status_in(folder.summary) == State.FINISHED
        yield log if is_ours and not is_done and not is_held(folder.lock_file) else None


def start_process(
    study: StudyFolder, cell: Cell, platform: Sequence[str], variables: Mapping[str, str]
) -> "CellProcess | None":
    """Start a cell, or continue it; None where another process works on it, or has finished it.

    Args:
        study: its study.
        cell: the cell.
        platform: the command `platform`.
        variables: environment variables of the process, besides those of this one.
    """
    with ExitStack() as kept:
        log = kept.enter_context(claimed(study, cell))
        if log is None:
            return None
        cell.failure(study).unlink(missing_ok=True)
        process = subprocess.Popen(
            [*platform, *run_arguments(study, cell)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            start_new_session=True,  # Ctrl-C is for the study, which hands it on
        )
        return CellProcess(study, cell, process, log, kept.pop_all())


def run_arguments(study: StudyFolder, cell: Cell) -> list[str]:
    """The arguments of `platform` that start a cell, or continue it."""
    changes = overrides_of(study, cell)
    task, folder = study.task(cell.configuration), cell.run_folder(study).path
    return ["run", str(task), "--folder", str(folder), *(f"--set={change}" for change in changes)]


def overrides_of(study: StudyFolder, cell: Cell) -> list[str]:
    """What a cell changes in the task of its configuration, as `platform run --set` takes it."""
    return [f"{key}={json_text(value)}" for key, value in cell.overrides(study).items()]


class CellProcess:
    """A running cell.

    Args:
        study: its study.
        cell: the cell.
        process: of the run.
        log: of the cell; holding it open keeps others away.
        kept: what is to be closed when it has ended.
    """

    def __init__(
        self, study: StudyFolder, cell: Cell, process: "subprocess.Popen[bytes]", log: IO[bytes], kept: ExitStack
    ) -> None:
        self.cell, self.error = cell, ""
        self.outcome: Outcome | None = None
        self._study, self._process, self._log, self._kept = study, process, log, kept
        self._began = time.monotonic()

    def has_ended(self) -> bool:
        """Whether it has ended; `outcome` and `error` say how, and others can take the cell."""
        if (status := self._process.poll()) is None:
            return False
        with self._kept:
            self.outcome, self.error = outcome_of(status), note_end(self._study, self.cell, status, self._log)
        return True

    def stop(self, number: int) -> None:
        """Hand a signal on: the run saves its state and ends."""
        self._process.send_signal(number)

    @property
    def told(self) -> str:
        """How it has ended, in words."""
        after = f"after {timedelta(seconds=round(time.monotonic() - self._began))}"
        text = "is run by another process" if self.outcome == "taken" else f"{self.outcome} {after}"
        return f"{text}: {self.error}" if self.error else text


def outcome_of(status: int) -> Outcome:
    """What an exit status says; negative: the signal that ended the process."""
    number = -status if status < 0 else status - 128
    if number in STOP_SIGNALS:
        return "stopped"
    if status < 0:
        return "failed" if signal.Signals(number).name in _CRASHES else "killed"
    return "finished" if status == 0 else "taken" if status == LockedError.exit_code else "failed"


def note_end(study: StudyFolder, cell: Cell, status: int, log: IO[bytes]) -> str:
    """Note how the process of a cell has ended: its run folder can be missing, or say otherwise.

    Args:
        study: its study.
        cell: the cell.
        status: exit status of its process.
        log: of the cell, claimed.

    Returns:
        The error of one that has failed or was killed; else nothing.
    """
    outcome = outcome_of(status)
    if outcome not in ("failed", "killed"):
        return ""
    if status < 0:
        error = f"{signal.Signals(-status).name} ended it" + (
            ", often as memory ran out" if outcome == "killed" else ""
        )
    else:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
        found = _ERROR.findall(log.read().decode(errors="replace"))
        error = found[-1] if found else f"exit status {status}"
    if outcome == "failed":
        note_failure(study, cell, status, error)
    return error


def note_failure(study: StudyFolder, cell: Cell, status: int, error: str) -> None:
    """Say beside the log of a cell that it has failed, and why."""
    write_json(cell.failure(study), {"status": status, "error": error})
