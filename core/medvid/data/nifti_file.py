"""The bytes of a NIfTI file, read to its end, its header checked before anything of that size is allocated.

nibabel parses the header. Reading is done here, because nibabel allocates what a header asks for, and stops before the
checksum of a .nii.gz.
"""

import gzip
import zlib
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

MAX_VOXELS = 2**31
"""Larger volumes are taken for a damaged header; 1024 x 1024 x 2048 still passes."""

MAX_DEFLATE_RATIO = 1032
"""What gzip can compress at best (zlib's documentation): a header that asks for more cannot be right."""

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_LOOKS_LIKE = {b"version https://git-lfs": "a Git LFS pointer", b"<!doctype": "an HTML page", b"<html": "an HTML page"}
_AGAIN = "download or convert it again"
_CHUNK = 1 << 20


class UnusableError(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its path."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


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
    compressed, named_so = head.startswith(b"\x1f\x8b"), path.name.lower().endswith(".gz")
    if compressed and not named_so:
        raise UnusableError("is gzip-compressed, although not named .nii.gz", "rename it")
    if named_so and not compressed:
        raise UnusableError("is not gzip-compressed, although named so", _AGAIN)


def read_bytes(path: Path) -> tuple[Any, bytearray]:
    """Return nibabel's header and all bytes that it declares; what follows is read for the checksum alone.

    Raises:
        UnusableError: the file is missing, empty, truncated or damaged, is no NIfTI file, or asks for an absurd size.
        OSError: it cannot be opened or read.
    """
    _check_kind(path)
    compressed = path.name.lower().endswith(".gz")
    size = path.stat().st_size
    with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
        try:
            content, _ = _take(stream, max(_HEADERS))
            header = _parse_header(bytes(content))
            expected = _expected_size(header, size * MAX_DEFLATE_RATIO if compressed else None)
            rest, complete = _take(stream, expected - len(content))
            content += rest
            while complete and len(content) >= expected and rest:
                rest, complete = _take(stream, _CHUNK)
        except (gzip.BadGzipFile, zlib.error) as error:
            raise UnusableError(f"is damaged ({error})", _AGAIN) from error
    if len(content) < expected:
        raise UnusableError(f"is truncated (got {len(content)} of {expected} bytes)", _AGAIN)
    if not complete:
        raise UnusableError("is truncated (its checksum is missing)", _AGAIN)
    return header, content


def _take(stream: gzip.GzipFile | BufferedReader, count: int) -> tuple[bytearray, bool]:
    """Read up to `count` bytes, and say whether the stream was intact so far (a cut gzip stream is not)."""
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
    for order in ("little", "big"):
        size = int.from_bytes(head[:4], order)
        if size in _HEADERS and len(head) >= size:
            try:
                return _HEADERS[size].from_fileobj(BytesIO(head))
            except (HeaderDataError, WrapStructError) as error:
                raise UnusableError(f"has a header that makes no sense ({error})") from error
    raise UnusableError("is not a NIfTI file")


def _expected_size(header: Any, limit: int | None) -> int:
    """Bytes that the header declares, checked before anything of that size is allocated."""
    shape = header.get_data_shape()
    voxels = int(np.prod(shape, dtype=np.float64)) if shape else 0
    if min(shape, default=0) < 1 or voxels > MAX_VOXELS:
        raise UnusableError(f"has a header that declares the shape {shape}, which cannot be right")
    expected = header.get_data_offset() + voxels * header.get_data_dtype().itemsize
    if limit is not None and expected > limit:
        raise UnusableError(f"is far too small for the shape {shape} that its header declares")
    return int(expected)
