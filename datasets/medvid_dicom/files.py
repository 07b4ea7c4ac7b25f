"""The headers of DICOM files, and how their pixels are reached later."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom

from medvid.data.volumes.formats.format import UnusableError
from medvid.sentences import listed
from medvid_dicom.container import DIRECTORY, has_preamble, streams

_SUFFIXES = (".dcm", ".dicom", ".ima")
"""Endings of old files that lack the preamble by which DICOM is known."""


@dataclass(frozen=True, slots=True)
class Header:
    """A DICOM file without its pixels.

    Args:
        name: within its folder or zip; empty for a file by itself.
        open: opens it, from its beginning.
        tags: what it says, a pydicom data set.
    """

    name: str
    open: Callable[[], BinaryIO]
    tags: Any

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of an attribute; the default where it is absent or empty."""
        value = self.tags.get(keyword)
        return default if value is None or value == "" else value

    def number(self, keyword: str, default: float = 0) -> float:
        """The value of an attribute that holds one number.

        Raises:
            UnusableError: it holds something else.
        """
        try:
            return float(self.get(keyword, default))
        except (TypeError, ValueError):
            raise self.fault(f"{keyword} is {self.get(keyword)}, a number is needed") from None

    def fault(self, reason: str, hint: str = "") -> UnusableError:
        """What is wrong with it, as an error."""
        return UnusableError(f"cannot be used: {f'{self.name}: ' if self.name else ''}{reason}", hint)

    @property
    def kind(self) -> str:
        """What it holds, e.g. "CT Image Storage"."""
        uid = self.get("SOPClassUID") or self.tags.file_meta.get("MediaStorageSOPClassUID")
        return str(uid.name) if uid else "an object without a SOPClassUID"


@contextmanager
def lenient() -> Iterator[None]:
    """Values that break DICOM's rules, as many real files have them, are read without a warning each.

    Raises:
        UnusableError: one that is needed cannot be read at all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (UnusableError, OSError, MemoryError):
            raise
        except Exception as error:  # of a parser that meets bytes of any kind, whenever a value is first looked at
            raise UnusableError(f"is damaged: {type(error).__name__}: {error}", "export it again") from error


def read_headers(path: Path) -> tuple[tuple[Header, ...], tuple[str, ...]]:
    """Read the headers of a DICOM file, or of all DICOM files of a folder and the folders in it, or of a zip.

    Returns:
        The headers, each object once, and notes on what was left out.

    Raises:
        UnusableError: there are none, or one is damaged.
        OSError: one cannot be opened or read.
    """
    headers: list[Header] = []
    others: list[str] = []
    for name, opened in streams(path):
        header = _read(name, opened)
        if isinstance(header, Header):
            headers.append(header)
        elif header is None:
            others.append(name)
    if not headers:
        raise UnusableError("is not a DICOM file" if others == [""] else "holds no DICOM files")
    known = {_identity(header): header for header in headers}
    notes = [f"has files that are not DICOM: {listed(others)}"] if others else []
    if copies := len(headers) - len(known):
        notes.append(f"has {copies} files that are copies of others (the same SOPInstanceUID and place)")
    return tuple(known.values()), tuple(notes)


def _read(name: str, opened: Callable[[], BinaryIO]) -> Header | bool | None:
    """A header; None for a file that is not DICOM, False for the list of a medium's files."""
    with opened() as stream, lenient():
        forced = not has_preamble(stream)
        if forced and name and not name.lower().endswith(_SUFFIXES):
            return None
        try:
            tags = pydicom.dcmread(stream, stop_before_pixels=True, force=forced)
            tags.file_meta = getattr(tags, "file_meta", None) or pydicom.dataset.FileMetaDataset()
            kind = tags.file_meta.get("MediaStorageSOPClassUID") or tags.get("SOPClassUID")
        except Exception as error:  # of a parser that meets bytes of any kind
            if forced:
                return None
            raise Header(name, opened, {}).fault(f"is damaged: {error}", "export it again") from error
    if forced and kind is None:
        return None
    return kind != DIRECTORY and Header(name, opened, tags)


def _identity(header: Header) -> tuple[str, ...]:
    """Equal for copies; careless programs give all slices one SOPInstanceUID."""
    keys = ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient")
    return tuple(str(header.get(key)) for key in keys) if header.get(keys[0]) else (header.name,)
