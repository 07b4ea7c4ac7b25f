"""Failures of a run's processes: the first process reports them all, and learns from the others why they failed."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import torch
from lightning_fabric import Fabric

from medvid.devices.waiting import from_first, leave_group
from medvid.errors import DistributedError, Interrupted, MedvidError
from medvid.files import make_folder, read_json, write_json
from medvid.runs.folder import RunFolder
from medvid.signals import StopSignal

Value = TypeVar("Value")

NOTE_TIMEOUT = 2.0
"""Seconds in which a process that failed has written why; one that was killed never does."""
EXIT_TIMEOUT = 10.0
"""Seconds that a failed process waits for the first to read its note, before that one is taken to be stuck."""


@contextmanager
def failures_reported_by_first(fabric: Fabric, folder: RunFolder) -> Iterator[None]:
    """Within the block, an error of any process is raised in the first one, which alone reports it.

    Another process writes its error to a note in the folder and leaves the group, by which the first notices.

    Raises:
        DistributedError: another process failed, and why.
    """
    if fabric.world_size == 1:
        yield
        return
    note, first = folder.failure(fabric.global_rank), os.getppid()
    note.unlink(missing_ok=True)
    try:
        yield
    except BaseException as error:
        if not fabric.is_global_zero:
            if not isinstance(error, Interrupted):  # to which all have agreed
                text = f"{error}" if isinstance(error, MedvidError) else f"{type(error).__name__}: {error}"
                make_folder(note.parent)
                write_json(note, {"error": text, "time": time.time()})
                _leave_once_read(note, first)
            raise SystemExit(getattr(error, "exit_code", 1)) from error
        if isinstance(error, MedvidError) or not _is_lost_connection(error):
            raise
        raise _error_of_others(folder, fabric.world_size) from error


def decided_by_first(fabric: Fabric, decide: Callable[[], Value]) -> Value:
    """What the first process decides, in all of them: what each would find on its disk by itself may differ.

    Raises:
        Exception: as `decide`, in the first process. The others end with its exit code, and say nothing.
    """
    decided: list[Value] = []
    refusal: Exception | None = None
    if fabric.is_global_zero:
        try:
            decided.append(decide())
        except Exception as error:
            refusal = error
    code = from_first(getattr(refusal, "exit_code", 1) if refusal else 0)
    if refusal:
        raise refusal
    if code:
        raise SystemExit(code)
    return from_first(decided)[0]


def _is_lost_connection(error: BaseException) -> bool:
    """Whether an error comes from an exchange with a process that is gone; gloo raises bare RuntimeErrors."""
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and any(name in str(error) for name in ("gloo", "NCCL"))
    )


def _error_of_others(folder: RunFolder, world_size: int) -> DistributedError:
    """The error of the process that failed first, by the notes of those that wrote one."""
    others, deadline = range(1, world_size), time.monotonic() + NOTE_TIMEOUT
    while not (notes := {rank: found for rank in others if (found := read_json(folder.failure(rank)))}):
        if time.monotonic() > deadline:
            return DistributedError(
                f"one of the {world_size} processes of the run exited without an error message (probably killed)",
                hint=f"often memory ran out: see the system's log. Continue with: platform run --resume {folder.path}",
            )
        time.sleep(0.05)
    for other in notes:
        folder.failure(other).unlink(missing_ok=True)
    rank = min(notes, key=lambda rank: float(notes[rank]["time"]))
    error = f"process {rank} of {world_size} failed: {notes[rank]['error']}"
    if not folder.path.exists():
        with suppress(OSError):  # it holds nothing but the notes
            folder.path.parent.rmdir()
        return DistributedError(error, hint="it failed before the first step, so no run folder was made")
    return DistributedError(
        error, hint=f"{folder.log_of(rank)} has its traceback. Then continue with: platform run --resume {folder.path}"
    )


def _leave_once_read(note: Path, first: int) -> None:
    """Leave the group, by which the first process notices, and wait until it has read the note or ends."""
    with suppress(RuntimeError, ValueError):  # the group may be broken already
        leave_group()
    deadline = time.monotonic() + EXIT_TIMEOUT
    with StopSignal() as stop:
        while note.exists() and os.getppid() == first and not stop.received and time.monotonic() < deadline:
            time.sleep(0.05)
    note.unlink(missing_ok=True)
