"""Locks of files that end with the process that holds them, however it ends.

They are record locks of the operating system, which children do not inherit: loader workers outlive a killed run by
seconds. They belong to the process: it loses one as soon as it closes the file, also where it has opened it twice.
"""

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TextIO

from medvid.errors import LockedError
from medvid.files import writing


@contextmanager
def hold(path: Path, of: object, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of what a file is the lock of. The file names the holder meanwhile.

    Its previous content is restored, so that who is refused leaves it unchanged.

    Args:
        path: the file; made if it does not exist.
        of: what is locked, for the message.
        wait: for the process that holds it, instead of refusing.

    Raises:
        LockedError: another process holds it.
        ResourceError: the file cannot be written.
    """
    with writing(path):
        file = path.open("a+", encoding="utf-8", errors="replace")
    with file:
        file.seek(0)
        before = file.read()
        with taken(file, wait=wait) as is_ours:
            if not is_ours:
                holder = before.strip() or "another process"
                raise LockedError(f"{of} is in use by {holder}", hint="wait for it, or stop it")
            _rewrite(file, f"process {os.getpid()}, started {datetime.now():%Y-%m-%d %H:%M:%S}")
            try:
                yield
            finally:
                _rewrite(file, "" if wait else before)  # what was there before the wait named another holder


@contextmanager
def taken(file: IO[Any], *, wait: bool = False) -> Iterator[bool]:
    """Within the block, the lock of an open file is this process's; tells whether it could be had."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        yield False
        return
    status = os.fstat(file.fileno())
    _own.add((status.st_dev, status.st_ino))
    try:
        yield True
    finally:
        _own.discard((status.st_dev, status.st_ino))
        fcntl.lockf(file, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; asks without taking it, not even for a moment."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    if (status.st_dev, status.st_ino) in _own:  # opening and closing it would give it away
        return True
    with path.open("rb") as file:
        asked = struct.pack(_LAYOUT, *(fcntl.F_WRLCK if name == "type" else 0 for name in _FIELDS))
        found = struct.unpack(_LAYOUT, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return bool(found[_FIELDS.index("type")] != fcntl.F_UNLCK)


_own: set[tuple[int, int]] = set()
"""Device and inode of the files whose locks this process holds."""
_IS_MAC = sys.platform == "darwin"
_LAYOUT = "qqihh" if _IS_MAC else "hhqqi4x"
_FIELDS = (
    ("start", "length", "process", "type", "whence") if _IS_MAC else ("type", "whence", "start", "length", "process")
)
"""Of ``struct flock``, see fcntl(2); all of the file is start 0, length 0, whence 0."""


def _rewrite(file: TextIO, text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
