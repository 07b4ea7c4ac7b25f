"""What all processes of a run have to see alike, on whatever machine they are: the run folder, and the data."""

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from lightning_fabric import Fabric

from medvid.data.dataset import Dataset
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
    new = [each for each in (file.parent, *file.parent.parents) if not each.exists()]
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
        with suppress(OSError):
            for each in new:
                each.rmdir()
        blind = [node for node, seen in zip(nodes, sees, strict=True) if not seen]
        raise DistributedError(
            f"{listed([*dict.fromkeys(blind)])} does not see {file.parent}, where {nodes[0]} writes the run",
            hint="put it on a disk that all machines share: output in the task, or --folder",
        )
    raise SystemExit(DistributedError.exit_code)


def check_same_data(fabric: Fabric, dataset: Dataset, cases: Mapping[str, Sequence[str]]) -> None:
    """Make sure that all machines have the same cases, in the same order, with the same content.

    The data and the cache of prepared cases may be local to a machine: one process of each prepares what is missing.

    Args:
        fabric: launched.
        dataset: prepared on the first machine.
        cases: their ids, by split.

    Raises:
        DistributedError: naming the machines and the splits that differ.
    """
    if fabric.world_size == 1 or getattr(fabric.strategy, "num_nodes", 1) == 1:
        return
    digests: dict[str, str] | None = None
    if fabric.local_rank == 0:
        if not fabric.is_global_zero:
            dataset.prepare(tuple(dict.fromkeys(chain.from_iterable(cases.values()))), lambda _done, _total: None)
        digests = {split: _digest(dataset, ids) for split, ids in cases.items()}
    found = gather((node_name(), digests))
    [first, wanted], *others = [(node, each) for node, each in found if each is not None]
    for node, each in others:
        if differ := [split for split in cases if wanted is None or each[split] != wanted[split]]:
            raise DistributedError(
                f"the data differ between machines: {node} does not have the cases of {first} in {listed(differ)}",
                hint="put dataset.root on a disk that all machines share, or make its copies equal",
            )


def _digest(dataset: Dataset, cases: Sequence[str]) -> str:
    names = hashlib.sha256("\n".join(cases).encode(errors="surrogateescape")).hexdigest()
    return f"{names} {dataset.digest(cases)}"


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
