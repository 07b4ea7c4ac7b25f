"""Digests by which files, cases and settings are known again: BLAKE2b in hex digits; and checksums."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

SIZE = 16
"""Bytes, and so 32 digits."""


def digest_of(content: bytes, size: int = SIZE) -> str:
    """The digest of some bytes, of `size` bytes itself."""
    return hashlib.blake2b(content, digest_size=size).hexdigest()


def digest_of_rows(rows: Iterable[Sequence[object]]) -> str:
    """The digest of a table; the order of its rows counts."""
    total = hashlib.blake2b(digest_size=SIZE)
    for row in rows:
        total.update(("\0".join(map(str, row)) + "\n").encode())
    return total.hexdigest()


def digest_of_files(paths: Iterable[Path]) -> str:
    """The digest of what files hold, one after the other.

    Raises:
        OSError: one cannot be read.
    """
    total = hashlib.blake2b(digest_size=SIZE)
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "blake2b").digest())
    return total.hexdigest()


def checksum_of_file(path: Path) -> int:
    """The CRC-32 of what a file holds: quick, and enough to notice damage.

    Raises:
        OSError: it cannot be read.
    """
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
