"""The files of a folder, of a zip or of one path, and what their first bytes say: whether DICOM, and which kind of it.

Without pydicom, so that files of other formats are told apart where it is not installed.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from medvid.data.listing import find_files, is_harmless
from medvid.data.volumes.formats.format import UnusableError

_PREAMBLE = 128
_META = 4096  # bytes in which the kind stands
_KIND = b"\x02\x00\x02\x00UI"  # MediaStorageSOPClassUID, in the one encoding of meta information

DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of the list of a medium's files."""

FILM_HINT = "data sets of videos read it, such as videos; single frames can be written into images"
"""What to do with images that are no volume, but several."""


def kinds_of(path: Path) -> Iterator[str]:
    """The SOP classes of a DICOM file, or of those of a folder or zip one by one; lists of files are left out.

    Raises:
        OSError: one cannot be read.
    """
    with suppress(UnusableError):
        for _, opened in streams(path):
            with opened() as stream:
                if has_preamble(stream) and (kind := _kind(stream.read(_META))) != DIRECTORY:
                    yield kind


def streams(path: Path) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Files by name within the path; the name of a file by itself is empty."""
    if path.is_dir():
        for file in find_files(path):
            yield str(file.relative_to(path)), partial(_open, file)
    elif zipfile.is_zipfile(path):
        for name in _members(path):
            yield name, partial(_open_member, path, name)
    else:
        yield "", partial(_open, path)


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = (info.filename for info in archive.infolist() if not info.is_dir())
            return sorted(name for name in names if not any(is_harmless(Path(part)) for part in Path(name).parts))
    except zipfile.BadZipFile as error:
        raise UnusableError(f"is damaged: {error}", "zip it again") from error


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _open_member(path: Path, name: str) -> BinaryIO:
    try:
        with zipfile.ZipFile(path) as archive:
            return BytesIO(archive.read(name))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise UnusableError(f"is damaged, or encrypted: {name}: {error}") from error


def has_preamble(stream: BinaryIO) -> bool:
    """Whether a file begins as DICOM does; the stream is at its beginning before and after."""
    head = stream.read(_PREAMBLE + 4)
    stream.seek(0)
    return head[_PREAMBLE:] == b"DICM"


def _kind(head: bytes) -> str:
    """The SOP class in the meta information at the beginning of a file; empty if it is not there."""
    start = head.find(_KIND, _PREAMBLE) + len(_KIND)
    if start < len(_KIND):
        return ""
    length = int.from_bytes(head[start : start + 2], "little")
    return head[start + 2 : start + 2 + length].rstrip(b"\0 ").decode("ascii", "replace")
