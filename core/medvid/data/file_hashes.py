"""Hashes of files that are not read again while their size, times and inode are as they were.

The record is a file per data set in the cache, a line for each hash. Lines are only ever added, each in one write, so
that processes need not wait for each other; a line that was torn or changed does not match its check and is ignored.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from medvid.data.cache_folder import make_cache
from medvid.digests import digest_of
from medvid.errors import DataError, ResourceError
from medvid.files import make_folder, write_bytes
from medvid.sentences import listed

log = logging.getLogger(__name__)

Hash = Callable[[Sequence[Path]], str]
"""Hashes what files hold, one after the other; hex digits."""

SETTLED = 60 * 10**9
"""Nanoseconds since the last change of a file, from which on another change is sure to have another time: disks keep
times to 2 s at worst, and their clocks may differ from this machine's."""
_SPARE = 1000
"""Superseded lines that a record may have besides as many as there are others."""


class FileHashes:
    """The recorded hashes of a data set's files.

    A hash is used again only if the files had not been changed for a minute when they were read, since a file can be
    changed twice within the accuracy of its time. Files that are changed while they are read, or have times in the
    future, are read again each time.

    Args:
        cache: folder of the cache, where a record can be missing or not writable; then files are read.
        root: the data set's folder.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        self._cache = cache
        self.path = cache / "hashes" / f"{digest_of(os.fsencode(root.absolute()), 8)}.txt"

    def __getstate__(self) -> dict[str, Any]:
        """Without the record, which can be long; it is read where it is needed."""
        return {"_cache": self._cache, "path": self.path}

    def of(self, compute: Hash, paths: Sequence[Path]) -> str:
        """What `compute` returns for files, now or when they were last read.

        Raises:
            OSError, EOFError, zlib.error: a file cannot be read.
        """
        state = _state(paths)
        known = self._known.get(_key(compute, paths))
        return known[1] if known and state and known[0] == state[0] else self._read(compute, paths)

    def reread(self, compute: Hash, paths: Sequence[Path]) -> str:
        """What `compute` returns for files now, whatever the record says; recorded instead.

        Raises:
            DataError: they hold something else than before, although their size and times are the same.
            OSError, EOFError, zlib.error: a file cannot be read.
        """
        state, known = _state(paths), self._known.get(_key(compute, paths))
        found = self._read(compute, paths)
        if known and state and known[0] == state[0] and known[1] != found:
            raise DataError(
                f"{listed([str(path) for path in paths], 1)}: the content changed, but neither size nor time",
                hint="compare with a copy: the disk may be failing",
            )
        return found

    def _read(self, compute: Hash, paths: Sequence[Path]) -> str:
        began, before = time.time_ns(), _state(paths)
        found = compute(paths)
        if before and before == _state(paths) and before[1] + SETTLED < began:
            self._add(_key(compute, paths), before[0], found)
        return found

    def _add(self, key: str, state: str, found: str) -> None:
        if self._known.get(key) == (state, found):
            return
        self._known[key] = state, found
        try:
            make_cache(self._cache)
            make_folder(self.path.parent, 0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, _line(key, state, found))
            finally:
                os.close(descriptor)
        except (OSError, ResourceError) as error:  # a read-only cache shared by others
            log.debug("hashes of files are not recorded in %s: %s", self.path, error)

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        """State of the files and their hash, by key."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return {}
        known: dict[str, tuple[str, str]] = {}
        for line in lines:
            content, _, check = line.rpartition(b" ")
            if content and check == _check(content) and len(parts := content.decode().split(" ")) == 3:
                known[parts[0]] = parts[1], parts[2]
        if len(lines) > 2 * len(known) + _SPARE:
            with suppress(ResourceError):  # what others add meanwhile is read again
                write_bytes(self.path, b"".join(_line(key, *rest) for key, rest in known.items()), 0o600)
        return known


def _key(compute: Hash, paths: Sequence[Path]) -> str:
    return digest_of(b"\0".join([compute.__name__.encode(), *(os.fsencode(path.absolute()) for path in paths)]))


def _state(paths: Sequence[Path]) -> tuple[str, int] | None:
    """A hash of all that shows that files were changed, and when one last was (ns); None if one is not there."""
    try:
        found = [path.stat() for path in paths]
    except OSError:
        return None
    rows = [(one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino) for one in found]
    return digest_of(repr(rows).encode()), max((max(row[1:3]) for row in rows), default=0)


def _line(key: str, state: str, found: str) -> bytes:
    """It begins with the end of the line before, which may be torn."""
    content = f"{key} {state} {found}".encode()
    return b"\n" + content + b" " + _check(content)


def _check(content: bytes) -> bytes:
    return digest_of(content, 4).encode()
