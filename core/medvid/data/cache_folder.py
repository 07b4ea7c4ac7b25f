"""The folder of prepared cases: where it is, what is in it, who uses it, and how it shrinks.

Entries are folders below ``volumes``; a folder's modification time is its last use. A process that uses entries names
them in a file below ``leases`` and holds a lock on it, which ends with the process, however it ends.
"""

import atexit
import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from medvid.data.listing import CACHE_TAG
from medvid.files import make_folder, remove_drafts, set_aside, writing

log = logging.getLogger(__name__)

DAY = 86400.0

_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Prepared cases of medvid; `platform cache` shows and prunes them.\n"
)
_OLD_DRAFTS = ".building-*"  # the name in earlier versions
_TOUCH_AFTER = 3600.0  # seconds; the last use is known to the hour, so that not every read of a case writes


@dataclass(frozen=True, slots=True)
class Entry:
    """A prepared case.

    Args:
        path: its folder.
        size: bytes.
        used: time of its last use, in seconds since the epoch; known to the hour.
    """

    path: Path
    size: int
    used: float


def make_cache(folder: Path) -> None:
    """Make the folder, readable by its user only, and mark it as a cache, which backups and data listings skip.

    Raises:
        ResourceError: it cannot be written.
    """
    make_folder(folder, 0o700)
    tag = folder / CACHE_TAG
    if not tag.exists():
        with contextlib.suppress(OSError), tag.open("x") as file:  # a complete cache can be read-only
            file.write(_TAG)


def entry_path(folder: Path, key: str) -> Path:
    """Where the entry of a key (hex digits) is, or will be."""
    return folder / "volumes" / key[:2] / key


def entries(folder: Path) -> list[Entry]:
    """All entries, least recently used first."""
    found = []
    for path in folder.glob("volumes/*/*"):
        with contextlib.suppress(OSError):  # another process can delete it meanwhile
            if not path.name.startswith("."):
                size = sum(file.stat().st_size for file in path.iterdir())
                found.append(Entry(path, size, path.stat().st_mtime))
    return sorted(found, key=lambda entry: (entry.used, entry.path))


def touch(path: Path) -> None:
    """Note that an entry is used now; does nothing in a cache that cannot be written to."""
    with contextlib.suppress(OSError):
        if path.stat().st_mtime < time.time() - _TOUCH_AFTER:
            os.utime(path)


def lease(folder: Path, paths: Iterable[Path]) -> None:
    """Keep entries, there or yet to be built, from being pruned until this process ends."""
    try:
        with _locked(folder):
            path = folder / "leases" / f"{os.getpid()}-{secrets.token_hex(8)}.json"
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # open until the process ends
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps(sorted({entry.name for entry in paths})).encode())
    except OSError as error:  # a read-only cache shared by others
        log.debug("entries of %s are not marked as in use: %s", folder, error)
        return
    atexit.register(_end_lease, path, os.getpid())


def in_use(folder: Path) -> set[str]:
    """Names of the entries that processes use now."""
    names: set[str] = set()
    for path in folder.glob("leases/*.json"):
        with contextlib.suppress(OSError, ValueError), path.open() as file:
            if _is_held(file):
                names.update(json.load(file))
    return names


def tidy(folder: Path) -> None:
    """Delete what killed processes left behind: drafts older than a day, and leases."""
    for place in (folder, *folder.glob("volumes/*")):
        remove_drafts(place, DAY)
    for path in folder.glob(_OLD_DRAFTS):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(path)
    with contextlib.suppress(OSError), _locked(folder):  # no process makes a lease meanwhile
        for path in folder.glob("leases/*.json"):
            with contextlib.suppress(OSError), path.open() as file:
                if not _is_held(file):
                    path.unlink()


def prune(
    folder: Path, *, older_than: float | None = None, to_size: int | None = None, dry_run: bool = False
) -> list[Entry]:
    """Delete entries, least recently used first; never one that is in use or being built.

    Args:
        folder: the cache.
        older_than: seconds; entries that were used since then are kept.
        to_size: bytes; entries are deleted until no more than this is left. Without either limit, all are.
        dry_run: only return which would be deleted.

    Returns:
        The deleted entries.

    Raises:
        ResourceError: the folder cannot be written to.
    """
    if not folder.is_dir():
        return []
    with writing(folder), _locked(folder):
        chosen = list(_choose(entries(folder), in_use(folder), older_than, to_size))
        if dry_run:
            return chosen
        # Renamed while no process can start to use them; deleting takes longer.
        drafts = [set_aside(entry.path, folder) for entry in chosen]
    for draft in drafts:
        shutil.rmtree(draft, ignore_errors=True)
    tidy(folder)
    return chosen


def _end_lease(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a fork of that process
        with contextlib.suppress(OSError):
            path.unlink()


def _choose(found: list[Entry], used: set[str], older_than: float | None, to_size: int | None) -> Iterator[Entry]:
    left, now = sum(entry.size for entry in found), time.time()
    for entry in found:
        old = older_than is None or entry.used < now - older_than
        large = to_size is None or left > to_size
        if old and large and entry.path.name not in used:
            left -= entry.size
            yield entry


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock: one process at a time says what it uses, or deletes what no process uses."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_held(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
