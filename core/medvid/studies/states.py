"""How far a cell is, from files alone: whatever has happened to the process that started it."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.errors import DataError
from medvid.files import read_json
from medvid.locks import is_held

if TYPE_CHECKING:
    from medvid.studies.cells import Cell
    from medvid.studies.folder import StudyFolder


class State(StrEnum):
    """How far a cell is."""

    WAITING = "waiting"
    """It has not begun."""
    INTERRUPTED = "interrupted"
    """It has begun and nobody works on it: it can go on."""
    RUNNING = "running"
    """A process works on it, or is about to."""
    FINISHED = "finished"
    FAILED = "failed"
    """An error has ended it; it is tried again only when asked for."""
    PRUNED = "pruned"
    """A search has given it up."""


def state_of(study: "StudyFolder", cell: "Cell") -> State:
    """The state of a cell. It can be another one already when this returns."""
    folder = cell.run_folder(study)
    status = status_in(folder.summary)
    if status == "finished":
        return State.FINISHED
    if is_held(cell.log(study)) or is_held(folder.lock_file):
        return State.RUNNING
    if cell.pruned(study).is_file():
        return State.PRUNED
    if status == "failed" or cell.failure(study).is_file():
        return State.FAILED
    return State.INTERRUPTED if folder.resolved.is_file() else State.WAITING


def status_in(summary: Path) -> str:
    """The status of a run's summary.json; a damaged one says as much as none: the run goes on and writes it anew."""
    with suppress(DataError):
        return str(read_json(summary).get("status", ""))
    return ""
