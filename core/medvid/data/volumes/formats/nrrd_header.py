"""The text before the voxels of a NRRD file (Teem, teem.sourceforge.net/nrrd/format.html)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid.data.volumes.formats.stored import AGAIN, Stored, beside, integers

MAGIC = b"NRRD000"
_LONGEST = 1 << 20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_CODES = {name: code for code, names in _TYPES.items() for name in names}
_VECTOR = re.compile(r"\([^)]*\)|[^\s()]+")  # also a single word
_PATTERN = re.compile(r"([^%]*%0?\d?d[^%]*) (-?\d+) (-?\d+) (-?\d+)(?: \d+)?")
_MOST_FILES = 100_000
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"} | dict.fromkeys(
    ("ascii", "text", "txt"), "text"
)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Args:
        fields: ``field: value``, by name without spaces.
        pairs: ``key:=value``.
        files: names of the files that hold the voxels; empty if they follow in the same one.
    """

    fields: Mapping[str, str]
    pairs: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def required(self, name: str) -> str:
        """The value of a field."""
        if name not in self.fields:
            raise UnusableError(f"has a NRRD header without {name!r}", AGAIN)
        return self.fields[name]

    def words(self, name: str, count: int) -> list[str]:
        """The values of a field that has one for each axis; empty if there is no such field."""
        found = _VECTOR.findall(self.fields.get(name, ""))
        if found and len(found) != count:
            raise UnusableError(f"has {len(found)} values of {name!r} for {count} axes")
        return found

    @property
    def stored(self) -> Stored:
        """How the voxels are stored."""
        name, encoding = self.required("type").lower(), self.required("encoding").lower()
        if name not in _CODES:
            raise UnusableError(
                f"stores voxels of the type {name!r}, which cannot be read", "convert it to short or float"
            )
        if encoding not in _ENCODINGS:
            raise UnusableError(f"has the encoding {encoding!r}", "store it raw or with gzip")
        order = ">" if self.fields.get("endian", "little").lower() == "big" else "<"
        return Stored(np.dtype(order + _CODES[name]), self.sizes, _ENCODINGS[encoding])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the axes, the fastest first."""
        sizes = tuple(integers(self.required("sizes")))
        if len(sizes) != (dimension := integers(self.required("dimension"))[0]):
            raise UnusableError(f"has {len(sizes)} sizes for {dimension} axes")
        return sizes


def read_header(stream: BinaryIO) -> Header:
    """Read a header; the stream is then at the first byte after it.

    Raises:
        UnusableError: it is not one.
    """
    if not stream.readline(_LONGEST).startswith(MAGIC):
        raise UnusableError("is not a NRRD file", AGAIN)
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in _lines(stream):
        name, separator, value = line.partition(":=")
        if separator and ": " not in name:
            pairs[name.strip()] = value.strip()
            continue
        name, separator, value = line.partition(":")
        if not separator:
            raise UnusableError(f"has the line {line[:60]!r} in its NRRD header", AGAIN)
        fields[name.lower().replace(" ", "")] = value.strip()
        if fields.get("datafile", "").startswith("LIST"):
            return Header(fields, pairs, tuple(_lines(stream)))
    named = fields.get("datafile", "LOCAL")
    return Header(fields, pairs, () if named.upper() == "LOCAL" else numbered(named) or (named,))


def data_files(header: Header, path: Path) -> tuple[Path, ...]:
    """The files that hold the voxels of a header, in their order; raises as `beside`."""
    return tuple(beside(path, name) for name in header.files) or (path,)


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines up to an empty one, or the end, without comments."""
    read = 0
    while raw := stream.readline(_LONGEST):
        read += len(raw)
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            return
        if read > _LONGEST:
            raise UnusableError("has a NRRD header that does not end", AGAIN)
        if not line.startswith("#"):
            yield line


def numbered(value: str) -> tuple[str, ...]:
    """Names of files from a pattern with the first number, the last and the step: ``slice%03d.raw 1 24 1``."""
    if not (match := _PATTERN.fullmatch(value)):
        return ()
    first, last, step = map(int, match.groups()[1:4])
    if not step or not 0 <= (last - first) // step < _MOST_FILES:
        raise UnusableError(f"counts its files wrongly: {value!r}")
    return tuple(match[1] % number for number in range(first, last + (1 if step > 0 else -1), step))
