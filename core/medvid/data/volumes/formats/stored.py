"""Numbers as files store them: raw, compressed or as text; read to their end, and never more than a header declares."""

import bz2
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medvid.data.volumes.formats.format import MAX_VOXELS, UnusableError

AGAIN = "download or convert it again"

_CHUNK = 1 << 20
_SPACES = str.maketrans("(),[]", "     ")
_EITHER = zlib.MAX_WBITS | 32  # zlib or gzip, as the stream itself says
_LARGEST = float(np.finfo(np.float32).max)
_UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(_EITHER),
    "bzip2": bz2.BZ2Decompressor,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """How the numbers of a volume are stored.

    Args:
        dtype: of a number, with its byte order.
        sizes: of the axes, the fastest first.
        encoding: ``raw``, ``gzip`` (or zlib), ``bzip2`` or ``text``.
    """

    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    encoding: str = "raw"

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1 or prod(self.sizes) > MAX_VOXELS:
            raise UnusableError(f"has a header that declares the shape {self.sizes}, which cannot be right")

    @property
    def bytes(self) -> int:
        """How many bytes they take unpacked."""
        return prod(self.sizes) * self.dtype.itemsize


def read_array(streams: Sequence[tuple[BinaryIO, int]], stored: Stored) -> np.ndarray:
    """Read an array from one stream, or from several that follow one another.

    Args:
        streams: each at its first byte, with the number of bytes to leave out after unpacking.
        stored: how it is stored.

    Returns:
        (*sizes), in the machine's byte order; not yet checked by `check_finite`.

    Raises:
        UnusableError: they are truncated or damaged.
        OSError: they cannot be read.
    """
    flat, count = (_texts if stored.encoding == "text" else _binary)(streams, stored), prod(stored.sizes)
    if flat.size < count:
        raise UnusableError(f"is truncated (got {flat.size} of {count} numbers)", AGAIN)
    return flat[:count].reshape(stored.sizes, order="F").astype(stored.dtype.newbyteorder("="), copy=False)


def numbers(text: str) -> list[float]:
    """The numbers in a part of a header, at least one; brackets and commas may be around them.

    Raises:
        UnusableError: it has something else.
    """
    try:
        if found := [float(word) for word in text.translate(_SPACES).split()]:
            return found
    except ValueError:
        pass
    raise UnusableError(f"has {text[:60]!r} in its header, where numbers have to be", AGAIN)


def integers(text: str) -> list[int]:
    """The whole numbers in a part of a header, at least one; raises as `numbers`."""
    found = numbers(text)
    if not all(number.is_integer() for number in found):
        raise UnusableError(f"has {text[:60]!r} in its header, where whole numbers have to be", AGAIN)
    return list(map(int, found))


def check_finite(data: np.ndarray) -> None:
    """Refuse voxels that are NaN, infinite or beyond float32.

    Raises:
        UnusableError: saying how many.
    """
    if data.dtype.kind == "f" and (count := int((~(np.abs(data) <= _LARGEST)).sum())):
        raise UnusableError(
            f"has {count} voxels that are NaN or infinite, or beyond float32",
            "replace them, e.g. by the background's value",
        )


def beside(header: Path, name: str) -> Path:
    """A file that a header names, in its folder or below.

    Raises:
        UnusableError: it would lie elsewhere, or does not exist.
    """
    path = header.parent / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UnusableError(f"has its voxels in {name}, which is not in its own folder", "move the files together")
    if not path.is_file():
        raise UnusableError(f"has its voxels in {name}, which does not exist", "put the file back beside it")
    return path


def _texts(streams: Sequence[tuple[BinaryIO, int]], stored: Stored) -> np.ndarray:
    try:
        return np.array(b" ".join(stream.read() for stream, _ in streams).split(), dtype=stored.dtype)
    except (ValueError, OverflowError) as error:
        raise UnusableError(f"holds something that is not a number ({error})", AGAIN) from error


def _binary(streams: Sequence[tuple[BinaryIO, int]], stored: Stored) -> np.ndarray:
    share = stored.bytes // len(streams)
    parts = [_unpacked(stream, stored, skip, share) for stream, skip in streams]
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    whole = len(content) // stored.dtype.itemsize
    return np.frombuffer(content, stored.dtype, whole)


def _unpacked(stream: BinaryIO, stored: Stored, skip: int, count: int) -> bytes | memoryview:
    """The bytes of a stream from `skip` on, at least `count` of them unless it is too short."""
    if stored.encoding == "raw":
        stream.seek(skip, 1)
        return stream.read(count)
    taken = bytearray()
    for chunk in _unpack(stream, _UNPACKERS[stored.encoding]):
        taken += chunk
        if len(taken) > skip + count + _CHUNK:  # more than its header declares
            break
    return memoryview(taken)[skip : skip + count]


def _unpack(stream: BinaryIO, make: Callable[[], Any]) -> Iterator[bytes]:
    unpacker, rest = make(), stream.read(_CHUNK)
    try:
        while rest:
            yield unpacker.decompress(rest, _CHUNK)
            rest = getattr(unpacker, "unconsumed_tail", b"") or (b"" if unpacker.eof else stream.read(_CHUNK))
    except (zlib.error, OSError, EOFError) as error:
        raise UnusableError(f"is damaged ({error})", AGAIN) from error
    if not unpacker.eof:
        raise UnusableError("is truncated (its compressed voxels end too early)", AGAIN)
