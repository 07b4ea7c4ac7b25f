"""What all processes of a run have to see alike, on whatever machine they are: the run folder, and the data."""

import secrets
import time
from contextlib import suppress
from pathlib import Path

from lightning_fabric import Fabric

from medvid.devices.waiting import from_first, gather
from medvid.errors import DistributedError
from medvid.files import make_folder, write_text
from medvid.runs.failures import decided_by_first
from medvid.runs.folder import RunFolder
from medvid.sentences import listed
from medvid.started import node_name

PATIENCE = 5.0
"""Seconds in which a file that one machine has written is seen by another."""


def check_shared(fabric: Fabric, folder: RunFolder) -> None:
    """Make sure that all processes see the place of the run folder, by a file that the first one writes beside it.

    Raises:
        DistributedError: naming the machines that do not.
        ResourceError: the first one cannot write there.
    """
    if fabric.world_size == 1:
        return
    token = from_first(secrets.token_hex(8))
    file = folder.path.with_name(f".{folder.name}-{token}")
    existed = file.parent.exists()
    decided_by_first(fabric, lambda: _write(file, token))
    try:
        nodes = gather(node_name())
        sees = gather(_sees(file, token))
    finally:
        if fabric.is_global_zero:
            file.unlink(missing_ok=True)
    if all(sees):
        return
    if fabric.is_global_zero:
        if not existed:
            with suppress(OSError):
                file.parent.rmdir()
        blind = [node for node, seen in zip(nodes, sees, strict=True) if not seen]
        raise DistributedError(
            f"{listed([*dict.fromkeys(blind)])} does not see {file.parent}, where {nodes[0]} writes the run",
            hint="put it on a disk that all machines share: output in the task, or --folder",
        )
    raise SystemExit(DistributedError.exit_code)


def _write(file: Path, content: str) -> None:
    make_folder(file.parent)
    write_text(file, content)


def _sees(file: Path, content: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            if file.read_text() == content:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
