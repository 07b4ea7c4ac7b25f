"""Several processes, one run: the first has the folder and the say, and learns from the others why they failed."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from lightning_fabric import Fabric

from medvid.errors import DistributedError, Interrupted, MedvidError
from medvid.files import make_folder, read_json, write_json
from medvid.runs.folder import RunFolder
from medvid.training.signals import StopSignal

PATIENCE = 2.0
"""Seconds in which a process that failed has left word of it; one that was killed never does."""
FAREWELL = 10.0
"""Seconds that a failed process stays for the first to end the run in order, before that one is taken to be stuck."""


@contextmanager
def first_speaks(fabric: Fabric, folder: RunFolder) -> Iterator[None]:
    """Within the block, an error of any process becomes one of the first, which alone tells of it.

    Another process leaves its error in the folder, and the group, by which the first notices. It ends in silence.

    Raises:
        DistributedError: another process failed, and why.
    """
    if fabric.world_size == 1:
        yield
        return
    word, first = folder.failure(fabric.global_rank), os.getppid()
    word.unlink(missing_ok=True)
    try:
        yield
    except BaseException as error:
        if not fabric.is_global_zero:
            if not isinstance(error, Interrupted):  # to which all have agreed
                text = f"{error}" if isinstance(error, MedvidError) else f"{type(error).__name__}: {error}"
                make_folder(word.parent)
                write_json(word, {"error": text, "time": time.time()})
                _depart(word, first)
            raise SystemExit(getattr(error, "exit_code", 1)) from error
        if isinstance(error, MedvidError) or not _is_left_alone(error):
            raise
        raise _their_error(folder, fabric.world_size) from error


def _is_left_alone(error: BaseException) -> bool:
    """Whether an error comes from an exchange with a process that is gone; gloo raises bare RuntimeErrors."""
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and any(name in str(error) for name in ("gloo", "NCCL"))
    )


def _their_error(folder: RunFolder, world_size: int) -> DistributedError:
    """What the process that failed first left word of."""
    others, deadline = range(1, world_size), time.monotonic() + PATIENCE
    while not (words := {rank: found for rank in others if (found := read_json(folder.failure(rank)))}):
        if time.monotonic() > deadline:
            return DistributedError(
                f"one of the {world_size} processes of the run ended without a word, as if it was killed",
                hint=f"often memory ran out: see the system's log. Go on with: platform run --resume {folder.path}",
            )
        time.sleep(0.05)
    for other in words:
        folder.failure(other).unlink(missing_ok=True)
    rank = min(words, key=lambda rank: float(words[rank]["time"]))
    error = f"process {rank} of {world_size} failed: {words[rank]['error']}"
    if not folder.path.exists():
        with suppress(OSError):  # the place of the words alone
            folder.path.parent.rmdir()
        return DistributedError(error, hint="it failed before the first step, so no run folder was made")
    return DistributedError(
        error, hint=f"{folder.log_of(rank)} has its traceback. Then go on with: platform run --resume {folder.path}"
    )


def _depart(word: Path, first: int) -> None:
    """Leave the group, by which the first process notices, and wait until it has taken the word or ends."""
    with suppress(RuntimeError, ValueError):  # the group may be broken already
        torch.distributed.destroy_process_group()
    deadline = time.monotonic() + FAREWELL
    with StopSignal() as told:
        while word.exists() and os.getppid() == first and not told.received and time.monotonic() < deadline:
            time.sleep(0.05)
    word.unlink(missing_ok=True)
