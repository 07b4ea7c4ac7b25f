"""The bytes of a NIfTI file, read to its end; the header is checked before anything of that size is allocated.

nibabel parses the header. Reading is done here, because nibabel allocates whatever a header declares, and stops before
the checksum of a .nii.gz.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medvid.data.volumes.formats.format import MAX_VOXELS, UnusableError, first_bytes

MAX_DEFLATE_RATIO = 1032
"""The best ratio of gzip (zlib's documentation): a header that declares more cannot be right."""

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_LOOKS_LIKE = {b"version https://git-lfs": "a Git LFS pointer", b"<!doctype": "an HTML page", b"<html": "an HTML page"}
_AGAIN = "download or convert it again"
_CHUNK = 1 << 20


def _check_kind(path: Path) -> None:
    if not path.exists():
        raise UnusableError("does not exist")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise UnusableError("is empty (0 bytes)", _AGAIN)
    for start, kind in _LOOKS_LIKE.items():
        if head.lstrip().lower().startswith(start):
            raise UnusableError(f"is {kind}, not NIfTI", "download the file itself again")
    compressed, named_so = head.startswith(b"\x1f\x8b"), _is_compressed(path)
    if compressed and not named_so:
        raise UnusableError("is gzip-compressed, but not named .nii.gz", "rename it")
    if named_so and not compressed:
        raise UnusableError("is named .gz, but is not gzip-compressed", _AGAIN)


def is_nifti(path: Path) -> bool:
    """Whether a file begins as NIfTI does; one half of a .hdr and .img pair does not."""
    head = first_bytes(path, max(_HEADERS))
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def read_bytes(path: Path) -> tuple[Any, bytearray]:
    """Return nibabel's header and all bytes that it declares; the rest is read only for the checksum.

    Raises:
        UnusableError: the file is missing, empty, truncated or damaged, is not NIfTI, or declares an absurd size.
        OSError: it cannot be opened or read.
    """
    with _opened(path) as stream:
        header, expected, content = _begin(stream, path)
        rest, complete = _take(stream, expected - len(content))
        content += rest
        more = len(content) >= expected
        while complete and more:
            rest, complete = _take(stream, _CHUNK)
            more = bool(rest)
    if len(content) < expected:
        raise UnusableError(f"is truncated (got {len(content)} of {expected} bytes)", _AGAIN)
    if not complete:
        raise UnusableError("is truncated (its checksum is missing)", _AGAIN)
    return header, content


def read_header(path: Path) -> Any:
    """Return nibabel's header with checked sizes; the voxels are not read.

    Raises:
        UnusableError: as `read_bytes`, for problems visible in the header.
        OSError: it cannot be opened or read.
    """
    with _opened(path) as stream:
        return _begin(stream, path)[0]


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile | BufferedReader]:
    _check_kind(path)
    with gzip.open(path, "rb") if _is_compressed(path) else path.open("rb") as stream:
        try:
            yield stream
        except (gzip.BadGzipFile, zlib.error) as error:
            raise UnusableError(f"is damaged ({error})", _AGAIN) from error


def _begin(stream: gzip.GzipFile | BufferedReader, path: Path) -> tuple[Any, int, bytearray]:
    """The header, the number of bytes that it declares, and what was read so far."""
    content, _ = _take(stream, max(_HEADERS))
    header = _parse_header(bytes(content))
    limit = path.stat().st_size * MAX_DEFLATE_RATIO if _is_compressed(path) else None
    return header, _expected_size(header, limit), content


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _take(stream: gzip.GzipFile | BufferedReader, count: int) -> tuple[bytearray, bool]:
    """Read up to `count` bytes, and return whether the stream was intact so far (a cut gzip stream is not)."""
    taken = bytearray()
    try:
        while len(taken) < count:
            chunk = stream.read1(min(_CHUNK, count - len(taken)))
            if not chunk:
                break
            taken += chunk
    except EOFError:
        return taken, False
    return taken, True


def _parse_header(head: bytes) -> Any:
    """Nibabel's header without its checks, which repair silently and read extensions that may be cut off."""
    for sign in "<>":
        size = int(np.frombuffer(head[:4], f"{sign}i4")[0]) if len(head) >= 4 else 0
        if size in _HEADERS and len(head) >= size:
            _check_magic(head, size)
            return _HEADERS[size](head[:size], endianness=sign, check=False)
    raise UnusableError("is not a NIfTI file")


def _check_magic(head: bytes, size: int) -> None:
    magic = head[344:348] if size == 348 else head[4:12]
    if magic in {b"n+1\0", b"n+2\0\r\n\x1a\n"}:
        return
    if magic in {b"ni1\0", b"ni2\0\r\n\x1a\n"}:
        raise UnusableError(
            "is the header of a .hdr and .img pair; the voxels are in the other file",
            "join the pair: nib-convert FILE.hdr FILE.nii.gz",
        )
    if size == 348:
        raise UnusableError(
            "is an Analyze 7.5 file, not NIfTI: it does not say where left and right are",
            "convert the scan again from its source",
        )
    raise UnusableError(f"is not a NIfTI file (its magic is {magic!r})", _AGAIN)


def _expected_size(header: Any, limit: int | None) -> int:
    """The number of bytes that the header declares, checked before anything of that size is allocated."""
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise UnusableError(f"has a header that declares {axes} axes, which cannot be right")
    shape = header.get_data_shape()
    voxels = int(np.prod(shape, dtype=np.float64))
    if min(shape) < 1 or voxels > MAX_VOXELS:
        raise UnusableError(f"has a header that declares the shape {shape}, which cannot be right")
    expected = _offset(header) + voxels * _item_size(header)
    if limit is not None and expected > limit:
        raise UnusableError(f"is far too small for the shape {shape} that its header declares")
    return expected


def _offset(header: Any) -> int:
    """Where the voxels begin: after the header and the four bytes that announce extensions."""
    offset = float(header["vox_offset"])
    if not int(header["sizeof_hdr"]) + 4 <= offset < np.inf:
        raise UnusableError(f"says that its voxels begin at byte {offset:g}, which cannot be right", _AGAIN)
    return int(offset)


def _item_size(header: Any) -> int:
    code = int(header["datatype"])
    try:
        size = int(header.get_data_dtype().itemsize)
    except (HeaderDataError, KeyError):
        size = 0
    if not size:
        raise UnusableError(f"stores voxels of an unknown type (datatype {code})", "convert it to int16 or float32")
    return size
