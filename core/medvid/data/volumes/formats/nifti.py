"""NIfTI files, read whole and checked, written with a header that carries only the geometry."""

import gzip
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import DTypeLike

from medvid.data.output import PROBABILITY_STEPS
from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError, Volume
from medvid.data.volumes.formats.nifti_file import is_nifti, read_bytes, read_header
from medvid.data.volumes.formats.nifti_space import Space
from medvid.files import replace_file, write_bytes

NAME = "nifti"

_HEADERS = {1: nib.Nifti1Header, 2: nib.Nifti2Header}
_NOT_VOLUMES = {
    1008: "points of a surface",
    1009: "triangles of a surface",
    **dict.fromkeys(range(3000, 3100), "CIFTI"),
}
_LARGEST = float(np.finfo(np.float32).max)


class Nifti(Format):
    """NIfTI 1 and 2 in one file, .nii or .nii.gz; what the header says of space is written as it was read."""

    def recognises(self, path: Path) -> bool:
        return path.is_file() and is_nifti(path)

    def geometry(self, path: Path) -> Geometry:
        return _geometry(read_header(path))[0]

    def read(self, path: Path) -> Volume:
        return _volume(*read_bytes(path))

    def read_values(self, path: Path) -> Volume:
        return _volume(*read_bytes(path), may_be_unknown=True)

    def write(self, path: Path, label_map: LabelMap) -> None:
        write_labels(path, label_map.labels, space_of(label_map.geometry))


def space_of(geometry: Geometry) -> Space:
    """What a header says of a geometry: the same words as where a NIfTI header said it."""
    return Space.from_json(dict(geometry.header)) if geometry.format == NAME else Space.of(geometry.affine)


def write_labels(path: Path, labels: np.ndarray, space: Space) -> None:
    """Write a label map as .nii.gz with a fresh header, complete or not at all, plane by plane.

    Args:
        path: the file; its folder exists.
        labels: (X, Y, Z) label ids from 0 to 255; perhaps on the disk.
        space: the scan's, of which both forms, both codes and the units are written unchanged.

    Raises:
        ResourceError: it cannot be written.
    """
    _write_planes(path, _head(labels.shape, space), [labels])


def write_probabilities(path: Path, probabilities: np.ndarray, space: Space) -> None:
    """Write the probability of each label as the fourth axis of a .nii.gz, complete or not at all, plane by plane.

    Args:
        path: the file; its folder exists.
        probabilities: (L, X, Y, Z) uint8, in steps of 1 / 255, which the header says as its slope.
        space: as of `write_labels`.

    Raises:
        ResourceError: it cannot be written.
    """
    labels, *shape = probabilities.shape
    _write_planes(path, _head((*shape, labels), space, 1 / PROBABILITY_STEPS), probabilities)


def write_values(path: Path, values: np.ndarray, space: Space) -> None:
    """Write a map of values as a .nii.gz of float32, complete or not at all; several are along its fourth axis.

    Args:
        path: the file; its folder exists.
        values: (V, X, Y, Z), NaN where nothing is said.
        space: as of `write_labels`.

    Raises:
        ResourceError: it cannot be written.
    """
    data = values[0] if len(values) == 1 else np.moveaxis(values, 0, 3)
    content = _head(data.shape, space, dtype=np.float32) + data.astype("<f4").tobytes(order="F")
    write_bytes(path, gzip.compress(content, compresslevel=6, mtime=0))


def _write_planes(path: Path, head: bytes, volumes: Iterable[np.ndarray]) -> None:
    """Write volumes (X, Y, Z) of bytes one after the other, compressed."""
    with (
        replace_file(path) as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as to,
    ):
        to.write(head)
        for volume in volumes:
            for plane in np.moveaxis(volume, -1, 0):
                to.write(plane.astype(np.uint8, copy=False).tobytes(order="F"))


def _head(shape: tuple[int, ...], space: Space, slope: float = 1.0, dtype: DTypeLike = np.uint8) -> bytes:
    """A fresh header for numbers, filled up to where they begin."""
    header = _HEADERS[space.version](endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_data_offset(header.single_vox_offset)
    header["scl_slope"], header["scl_inter"] = slope, 0
    space.write(header)
    return bytes(header.binaryblock.ljust(header.single_vox_offset, b"\0"))


def _volume(header: Any, content: bytearray, *, may_be_unknown: bool = False) -> Volume:
    shape, dtype = _shape(header), header.get_data_dtype()
    slope, inter = _scaling(header)
    stored = np.ndarray(shape, dtype, buffer=content, offset=header.get_data_offset(), order="F")
    data = apply_read_scaling(stored, slope, inter)
    if data.dtype.kind == "f" and (count := _strange(data, may_be_unknown)):
        raise UnusableError(
            f"has {count} voxels that are {'' if may_be_unknown else 'NaN or '}infinite, or beyond float32",
            "replace them, e.g. by the background's value",
        )
    geometry, notes = _geometry(header)
    rounding = abs(slope) / 2 if slope is not None and dtype.kind in "iu" else 0.0
    return Volume(data, geometry, rounding=rounding, notes=notes)


def _strange(data: np.ndarray, may_be_unknown: bool) -> int:
    """Number of voxels that are no numbers of float32; NaN is none of them where it may be unknown."""
    return int((np.abs(data) > _LARGEST if may_be_unknown else ~(np.abs(data) <= _LARGEST)).sum())


def _geometry(header: Any) -> tuple[Geometry, tuple[str, ...]]:
    """Where the voxels lie, and what is odd about that."""
    shape, space = _shape(header)[:3], Space.read(header)
    affine, notes = space.affine(shape)
    if len(header.get_data_shape()) == 2:
        notes = (*notes, "is a single plane, taken as a volume with one slice")
    return Geometry(shape, affine, space.millimetres if space.has_unit else None, NAME, asdict(space)), notes


def _shape(header: Any) -> tuple[int, ...]:
    """(X, Y, Z) or (X, Y, Z, N) of a file that holds a volume of numbers, or one plane of it."""
    if kind := _NOT_VOLUMES.get(int(header["intent_code"])):
        raise UnusableError(f"holds {kind}, not a volume (intent code {int(header['intent_code'])})")
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = "colours" if dtype.names else "complex numbers" if dtype.kind == "c" else str(dtype)
        raise UnusableError(
            f"stores {kind} (datatype {int(header['datatype'])}); one integer or float per voxel is needed",
            "split it into one file per channel" if dtype.names else "",
        )
    declared = header.get_data_shape()
    plane = (1,) if len(declared) == 2 else ()
    shape = (*declared[:3], *plane, *(n for n in declared[3:] if n > 1))
    if len(shape) not in (3, 4):
        raise UnusableError(f"has shape {declared}; only three axes, and one more for channels, can be read")
    return shape


def _scaling(header: Any) -> tuple[float | None, float | None]:
    """Slope and intercept; None if the stored numbers are the values, which a slope of 0 or NaN means."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return None, None
    if not np.isfinite([slope, inter]).all():
        raise UnusableError(f"has the scaling {slope:g} x + {inter:g} (scl_slope, scl_inter)", "correct its header")
    return slope, inter
