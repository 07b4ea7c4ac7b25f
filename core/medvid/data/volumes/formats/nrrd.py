"""NRRD files, also with the voxels beside them, and the segmentations of 3D Slicer among them."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError, Volume, first_bytes
from medvid.data.volumes.formats.geometry import LAS, LPS, RAS, UNITS, affine_of, in_words, steps_in
from medvid.data.volumes.formats.nrrd_header import MAGIC, Header, data_files, read_header
from medvid.data.volumes.formats.segments import as_masks, segments_of
from medvid.data.volumes.formats.stored import check_finite, integers, numbers, read_array
from medvid.files import write_bytes

NAME = "nrrd"

_SPACES = {"right-anterior-superior": RAS, "left-anterior-superior": LAS, "left-posterior-superior": LPS}
_SPACES |= {"".join(word[0] for word in name.split("-")): signs for name, signs in _SPACES.items()}  # ras, las, lps
_WRITTEN = "left-posterior-superior"
_NO_SPACE = "gives no orientation (no space); its axes are assumed to run to the right, to the front and upwards"


class Nrrd(Format):
    """NRRD (Teem): .nrrd, .nhdr with the voxels in other files, .seg.nrrd with named segments."""

    def recognises(self, path: Path) -> bool:
        return path.is_file() and first_bytes(path, len(MAGIC)) == MAGIC

    def files(self, path: Path) -> tuple[Path, ...]:
        with path.open("rb") as stream:
            return tuple(dict.fromkeys((path, *data_files(read_header(stream), path))))

    def geometry(self, path: Path) -> Geometry:
        with path.open("rb") as stream:
            return _geometry(read_header(stream))[0]

    def read(self, path: Path) -> Volume:
        with path.open("rb") as stream:
            header = read_header(stream)
            geometry, notes = _geometry(header)
            data = _voxels(header, path, stream)
        check_finite(data)
        segments = segments_of(header.pairs)
        masks = as_masks(data, segments) if segments else data
        return Volume(masks, geometry, tuple(segment.name for segment in segments), notes=notes)

    def write(self, path: Path, label_map: LabelMap) -> None:
        header = "\n".join(("NRRD0004", *_lines(label_map.geometry), "", ""))
        voxels = gzip.compress(label_map.labels.astype(np.uint8).tobytes(order="F"), compresslevel=6, mtime=0)
        write_bytes(path, header.encode() + voxels)


def _voxels(header: Header, path: Path, stream: BinaryIO) -> np.ndarray:
    """The voxels, (X, Y, Z) or (X, Y, Z, C)."""
    stored, beside = header.stored, header.files
    with ExitStack() as opened:
        streams = [opened.enter_context(file.open("rb")) for file in data_files(header, path)] if beside else [stream]
        skipped = integers(header.fields.get("byteskip", "0"))[0]
        for one in streams:
            for _ in range(integers(header.fields.get("lineskip", "0"))[0]):
                one.readline()
            if skipped < 0 and stored.encoding == "raw":
                one.seek(-stored.bytes // len(streams), 2)
        data = read_array([(one, max(skipped, 0)) for one in streams], stored)
    channel = _channel_axis(header)
    if channel is not None:
        data = np.moveaxis(data, channel, -1)
    return data.reshape(_flat(data.shape, len(_places(header))))


def _geometry(header: Header) -> tuple[Geometry, tuple[str, ...]]:
    axes = _places(header)
    shape = _flat(tuple(header.sizes[axis] for axis in axes), len(axes))
    signs = _signs(name := header.fields.get("space", ""))
    notes = [] if signs else [_NO_SPACE + (f": its space is {name}" if name else "")]
    unit, doubts = _unit(header)
    steps, assumed = _steps(header, axes)
    if len(axes) == 2:
        doubts.append("is a single plane, taken as a volume with one slice of 1 mm")
    origin = numbers(header.fields.get("spaceorigin", "0 0 0"))
    affine = affine_of(steps, (*origin, 0.0, 0.0)[:3], signs or RAS, unit or 1.0)
    return Geometry(shape, affine, unit if signs else None, NAME, {"space": name}), (*notes, *assumed, *doubts)


def _steps(header: Header, axes: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """The way from a voxel to the next on each axis, (3, axes), and what was assumed for it."""
    steps, count = np.zeros((3, len(axes))), len(header.sizes)
    vectors, spacings = (header.words(name, count) for name in ("spacedirections", "spacings"))
    for column, axis in enumerate(axes):
        step = numbers(vectors[axis]) if vectors else [0.0] * column + [numbers(spacings[axis])[0] if spacings else 1.0]
        if len(step) > 3:
            raise UnusableError(f"has a space of {len(step)} dimensions; one of three can be read")
        steps[: len(step), column] = step
    return steps, [] if vectors or spacings else ["gives no voxel size; 1 mm is assumed"]


def _signs(space: str) -> tuple[int, int, int] | None:
    """What leads from a space to RAS+; None for one that is not of a body."""
    return _SPACES.get(space.lower())


def _places(header: Header) -> tuple[int, ...]:
    """The axes that lie in space."""
    channel, axes = _channel_axis(header), range(len(header.sizes))
    return tuple(axis for axis in axes if axis != channel)


def _channel_axis(header: Header) -> int | None:
    """The axis of channels, if there is one.

    Raises:
        UnusableError: the others are not two or three axes in space.
    """
    count = len(header.sizes)
    vectors, kinds = header.words("spacedirections", count), header.words("kinds", count)
    spacings = header.words("spacings", count)
    found = [axis for axis in range(count) if _is_aside(axis, vectors, kinds, spacings)]
    if len(found) > 1 or not 2 <= count - len(found) <= 3:
        raise UnusableError(
            f"has {count - len(found)} axes in space of {count}; three, and one more for channels, can be read",
            "" if found else "give its axis of channels the direction none (space directions)",
        )
    return found[0] if found else None


def _is_aside(axis: int, vectors: list[str], kinds: list[str], spacings: list[str]) -> bool:
    if vectors:
        return vectors[axis].lower() == "none" or "nan" in vectors[axis].lower()
    if kinds:
        return kinds[axis].lower() not in {"domain", "space", "???", "none"}
    return bool(spacings) and spacings[axis].lower() == "nan"


def _unit(header: Header) -> tuple[float | None, list[str]]:
    """Millimetres per unit of length, None if it is not one that we know."""
    words = [word.strip('"') for word in header.fields.get("spaceunits", header.fields.get("units", "")).split()]
    found = {UNITS.get(word) for word in words if word not in {"", "???"}}
    if None in found or len(found) > 1:
        return None, [f"has lengths in {', '.join(words)}; mm are assumed"]
    return (found.pop() if found else 1.0), []


def _flat(shape: tuple[int, ...], places: int) -> tuple[int, ...]:
    """A shape with a third axis in space."""
    return (*shape[:2], 1, *shape[2:]) if places == 2 else shape


def _lines(geometry: Geometry) -> Iterator[str]:
    """The header of a label map."""
    space = geometry.header.get("space", _WRITTEN) if geometry.format == NAME else _WRITTEN
    yield from ("type: uint8", "dimension: 3")
    yield f"sizes: {' '.join(map(str, geometry.shape))}"
    yield from ("encoding: gzip", "kinds: domain domain domain")
    steps, origin = steps_in(geometry, _signs(space) or RAS)
    yield f"space: {space}" if space else "space dimension: 3"
    yield f"space directions: {' '.join(f'({_comma(step)})' for step in steps)}"
    yield f"space origin: ({_comma(origin)})"


def _comma(values: np.ndarray) -> str:
    return in_words(values).replace(" ", ",")
