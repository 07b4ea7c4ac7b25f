"""MetaImage files (ITK): .mha, and .mhd with the voxels in other files."""

import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError, Volume, first_bytes
from medvid.data.volumes.formats.geometry import LPS, UNITS, affine_of, in_words, steps_in
from medvid.data.volumes.formats.nrrd_header import numbered
from medvid.data.volumes.formats.stored import AGAIN, Stored, beside, check_finite, integers, numbers, read_array
from medvid.files import write_bytes

NAME = "mha"

_LONGEST = 1 << 16
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_ALIASES = {
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
_DATA = "ElementDataFile"
_PLACE = ("TransformMatrix", "Offset", "ElementSpacing")


class MetaImage(Format):
    """MetaImage, whose axes are along those of DICOM (LPS); AnatomicalOrientation is only a comment."""

    def recognises(self, path: Path) -> bool:
        head = first_bytes(path, 256) if path.is_file() else b""
        return head.lstrip().startswith((b"ObjectType", b"NDims", b"Comment")) and b"=" in head.partition(b"\n")[0]

    def files(self, path: Path) -> tuple[Path, ...]:
        with path.open("rb") as stream:
            names = _read_header(stream)[1]
        return tuple(dict.fromkeys((path, *(beside(path, name) for name in names))))

    def geometry(self, path: Path) -> Geometry:
        with path.open("rb") as stream:
            return _geometry(_read_header(stream)[0])[0]

    def read(self, path: Path) -> Volume:
        with path.open("rb") as stream:
            fields, names = _read_header(stream)
            geometry, notes = _geometry(fields)
            with ExitStack() as opened:
                files = [opened.enter_context(beside(path, name).open("rb")) for name in names]
                data = _voxels(fields, files or [stream]).reshape(*geometry.shape, -1)
        check_finite(data)
        return Volume(data if data.shape[3] > 1 else data[..., 0], geometry, notes=notes)

    def write(self, path: Path, label_map: LabelMap) -> None:
        voxels = zlib.compress(label_map.labels.astype(np.uint8).tobytes(order="F"), level=6)
        steps, origin = steps_in(label_map.geometry, LPS)
        lengths = np.linalg.norm(steps, axis=1)
        place = {
            "TransformMatrix": in_words((steps / lengths[:, None]).ravel()),
            "Offset": in_words(origin),
            "ElementSpacing": in_words(lengths),
        }
        header = {
            "ObjectType": "Image",
            "NDims": "3",
            "BinaryData": "True",
            "BinaryDataByteOrderMSB": "False",
            "CompressedData": "True",
            "CompressedDataSize": str(len(voxels)),
            **(place if label_map.geometry.format != NAME else place | dict(label_map.geometry.header)),
            "DimSize": " ".join(map(str, label_map.geometry.shape)),
            "ElementType": "MET_UCHAR",
            _DATA: "LOCAL",
        }
        write_bytes(path, "".join(f"{name} = {value}\n" for name, value in header.items()).encode() + voxels)


def _read_header(stream: BinaryIO) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fields, and the names of the files of the voxels; none if they follow in the stream."""
    fields: dict[str, str] = {}
    while _DATA not in fields:
        raw = stream.readline(_LONGEST)
        name, separator, value = raw.decode("utf-8", "replace").partition("=")
        if not separator or stream.tell() > _LONGEST:
            raise UnusableError(f"has a MetaImage header without {_DATA}", AGAIN)
        fields[_ALIASES.get(name.strip(), name.strip())] = value.strip()
    if fields.get("ObjectType", "Image") != "Image":
        raise UnusableError(f"holds a {fields['ObjectType']}, not an image")
    named = fields[_DATA]
    if named.upper() == "LOCAL":
        return fields, ()
    if named.upper().startswith("LIST"):
        return fields, tuple(line.decode("utf-8", "replace").strip() for line in stream if line.strip())
    return fields, numbered(named) or (named,)


def _required(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise UnusableError(f"has a MetaImage header without {name}", AGAIN)
    return fields[name]


def _is_true(fields: Mapping[str, str], name: str, default: str = "") -> bool:
    return fields.get(name, default).lower() in {"true", "1", "t"}


def _sizes(fields: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(integers(_required(fields, "DimSize")))


def _voxels(fields: Mapping[str, str], streams: Sequence[BinaryIO]) -> np.ndarray:
    """The voxels (X, Y, ..., C)."""
    kind = _required(fields, "ElementType")
    if kind not in _TYPES:
        raise UnusableError(
            f"stores voxels of the type {kind}, which cannot be read", "convert it to MET_SHORT or MET_FLOAT"
        )
    channels = integers(fields.get("ElementNumberOfChannels", "1"))[0]
    encoding = (
        "text"
        if not _is_true(fields, "BinaryData", "True")
        else "gzip"
        if _is_true(fields, "CompressedData")
        else "raw"
    )
    order = ">" if _is_true(fields, "BinaryDataByteOrderMSB") else "<"
    stored = Stored(np.dtype(order + _TYPES[kind]), (channels, *_sizes(fields)), encoding)
    skipped = integers(fields.get("HeaderSize", "0"))[0]
    if skipped < 0 and encoding == "raw":
        for stream in streams:
            stream.seek(-stored.bytes // len(streams), 2)
    return np.moveaxis(read_array([(stream, max(skipped, 0)) for stream in streams], stored), 0, -1)


def _geometry(fields: Mapping[str, str]) -> tuple[Geometry, tuple[str, ...]]:
    """Of two, three or four axes, of which the fourth is of channels (or time)."""
    sizes = _sizes(fields)
    count = len(sizes)
    if count not in (2, 3, 4) or integers(_required(fields, "NDims"))[0] != count:
        raise UnusableError(f"has {count} axes; three, and one more for channels, can be read")
    places, notes = min(count, 3), []
    if "TransformMatrix" not in fields:
        notes.append("gives no orientation (no TransformMatrix); its axes are assumed to be LPS, as of DICOM")
    spacing = fields.get("ElementSpacing", fields.get("ElementSize", ""))
    if not spacing:
        notes.append("gives no voxel size; 1 mm is assumed")
    if count == 2:
        notes.append("is a single plane, taken as a volume with one slice of 1 mm")
    directions = _values(fields, "TransformMatrix", np.eye(count).ravel()).reshape(count, count)
    lengths = numbers(spacing) if spacing else [1.0] * count
    origin = _values(fields, "Offset", np.zeros(count))
    if len(lengths) != count:
        raise UnusableError(f"has {len(lengths)} voxel sizes for {count} axes")
    steps = np.zeros((3, places))
    steps[:places] = (directions * np.reshape(lengths, (count, 1)))[:places, :places].T
    unit = UNITS.get(fields.get("DistanceUnits", "mm"), 1.0)
    affine = affine_of(steps, (*origin, 0.0)[:3], LPS, unit)
    words = {name: fields[name] for name in _PLACE if name in fields} if count == 3 and unit == 1 else {}
    return Geometry((*sizes, 1)[:3], affine, 1.0, NAME, words), tuple(notes)


def _values(fields: Mapping[str, str], name: str, default: np.ndarray) -> np.ndarray:
    """The numbers of a field, as many as of its default."""
    found = np.array(numbers(fields[name])) if name in fields else default
    if found.size != default.size:
        raise UnusableError(f"has {found.size} numbers in {name}, not {default.size}")
    return found
