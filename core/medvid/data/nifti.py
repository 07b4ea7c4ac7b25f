"""NIfTI files, read whole and checked, written with a header that carries nothing but the geometry."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.volumeutils import apply_read_scaling

from medvid.data.affines import describe, displacement
from medvid.data.nifti_file import UnusableError, read_bytes, read_header
from medvid.data.nifti_space import TOLERANCE, Space
from medvid.errors import DataError
from medvid.files import make_folder, write_bytes

_HEADERS = {1: nib.Nifti1Header, 2: nib.Nifti2Header}
_NOT_VOLUMES = {
    1008: "points of a surface",
    1009: "triangles of a surface",
    **dict.fromkeys(range(3000, 3100), "CIFTI"),
}
_LARGEST = float(np.finfo(np.float32).max)
_ROUNDING = 1e-4  # of labels that were computed in floating point
_STEP = 0.05  # a scaling that is coarser than this loses labels, or stands for fractions


@dataclass(frozen=True, slots=True)
class Volume:
    """The content of a NIfTI file.

    Args:
        data: voxels in the file's own axis order and units, (X, Y, Z) or (X, Y, Z, N); further axes of length 1 are
            dropped.
        affine: (4, 4), voxel indices to RAS+ millimetres, see `medvid.data.nifti_space.Space.affine`.
        space: what the header says of it.
        rounding: how far values may be off by the scaling from stored integers.
        notes: what is odd about the file and yet no error.
    """

    data: np.ndarray
    affine: np.ndarray
    space: Space
    rounding: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def channels_last(self) -> np.ndarray:
        """The voxels as (X, Y, Z, C)."""
        return self.data if self.data.ndim == 4 else self.data[..., None]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size on each axis, in mm."""
        return tuple(voxel_sizes(self.affine).tolist())


def read(path: Path, case: str) -> Volume:
    """Read a .nii or .nii.gz file to its end, so that damage anywhere in it is found.

    Args:
        path: the file.
        case: the case that the error names.

    Raises:
        DataError: the file is missing, empty, truncated or damaged, is not a NIfTI file or holds something else than a
            volume, asks for an absurd size, has an affine or a unit that makes no sense, fewer than three axes, or
            voxels that are NaN, infinite or beyond float32.
    """
    with _naming(path, case):
        return _volume(*read_bytes(path))


def read_geometry(path: Path, case: str) -> tuple[tuple[int, ...], np.ndarray, Space]:
    """Read the header alone: the shape (X, Y, Z), the affine and the space, as `read` gives them.

    Raises:
        DataError: as `read`, as far as it shows in the header.
    """
    with _naming(path, case):
        header = read_header(path)
        shape, space = _shape(header)[:3], Space.read(header)
        return shape, space.affine(shape)[0], space


def read_labels(path: Path, case: str, labels: int) -> Volume:
    """Read a label map as uint8.

    Values that are whole numbers but for rounding, or for the step of a scaling from stored integers, are rounded.

    Args:
        path: the file.
        case: the case that the error names.
        labels: number of labels; ids run from 0 to ``labels - 1``, at most 255.

    Raises:
        DataError: as `read`; or the values are not integers, or not label ids.
    """
    volume = read(path, case)
    data, notes = volume.data, volume.notes
    if data.ndim != 3:
        raise DataError(f"case {case}: label map {path} has shape {data.shape}, a label map has three axes")
    if data.dtype.kind == "f":
        whole = np.rint(data)
        off = np.abs(data - whole)
        if (fractions := off > max(_ROUNDING, min(volume.rounding, _STEP))).any():
            raise DataError(
                f"case {case}: label map {path} has values that are not integers, e.g. {float(data[fractions][0]):g}",
                hint="resample label maps with nearest-neighbour interpolation, and store them without scaling",
            )
        if off.max() > _ROUNDING:
            notes = (*notes, f"has values up to {off.max():.2g} beside integers, by its scaling; they are rounded")
        data = whole
    if data.min() < 0 or data.max() >= labels:
        raise DataError(_describe_strangers(path, case, data, labels), hint="correct the file or the data set's labels")
    return Volume(data.astype(np.uint8), volume.affine, volume.space, notes=notes)


def align(image: Volume, other: Volume, case: str, name: str) -> Volume:
    """Check that a volume lies on the image of its case, and give it the image's affine.

    So rounding in one of two headers cannot turn a volume away from its image. A header without a unit of length is
    taken to have the image's, as programs lose it where they write a mask.

    Args:
        image: the image.
        other: the volume, e.g. the label map.
        case: the case that the error names.
        name: what `other` is.

    Returns:
        The volume with the affine and the space of the image.

    Raises:
        DataError: shapes or affines differ.
    """
    shape = image.data.shape[:3]
    if other.data.shape[:3] != shape:
        raise DataError(
            f"case {case}: the image has shape {shape}, its {name} {other.data.shape[:3]}",
            hint="see that both files are of the same scan, and resample one onto the other",
        )
    affine = other.affine
    if image.space.has_unit and not other.space.has_unit:
        affine = np.diag([*[image.space.millimetres] * 3, 1.0]) @ affine
    if displacement(image.affine, affine, shape) > TOLERANCE:
        raise DataError(
            f"case {case}: image and {name} do not lie on one another: the image's affine is "
            f"{describe(image.affine)}, that of its {name} {describe(affine)}",
            hint="resample one onto the other, or correct the header that is wrong",
        )
    return replace(other, affine=image.affine, space=image.space)


def write_labels(path: Path, labels: np.ndarray, space: Space) -> None:
    """Write a label map as .nii.gz under a fresh header, at once or not at all.

    Args:
        path: the file; its folder is made.
        labels: (X, Y, Z) label ids from 0 to 255.
        space: where it lies: that of the scan, of which both forms, both codes and the units are written as they are.

    Raises:
        ResourceError: it cannot be written.
    """
    header = _HEADERS[space.version](endianness="<")
    header.set_data_dtype(np.uint8)
    header.set_data_shape(labels.shape)
    header.set_data_offset(header.single_vox_offset)
    header["scl_slope"], header["scl_inter"] = 1, 0
    space.write(header)
    content = header.binaryblock.ljust(header.single_vox_offset, b"\0") + labels.astype(np.uint8).tobytes(order="F")
    make_folder(path.parent)
    write_bytes(path, gzip.compress(content, compresslevel=6, mtime=0))


@contextmanager
def _naming(path: Path, case: str) -> Iterator[None]:
    try:
        yield
    except UnusableError as error:
        raise DataError(f"case {case}: {path} {error}", hint=error.hint) from None
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror or error}") from error


def _volume(header: Any, content: bytearray) -> Volume:
    shape, dtype = _shape(header), header.get_data_dtype()
    slope, inter = _scaling(header)
    stored = np.ndarray(shape, dtype, buffer=content, offset=header.get_data_offset(), order="F")
    data = apply_read_scaling(stored, slope, inter)
    if data.dtype.kind == "f" and (count := int((~(np.abs(data) <= _LARGEST)).sum())):
        raise UnusableError(
            f"has {count} voxels that are NaN or infinite, or beyond float32",
            "replace them, e.g. by the background's value",
        )
    space = Space.read(header)
    affine, notes = space.affine(shape[:3])
    rounding = abs(slope) / 2 if slope is not None and dtype.kind in "iu" else 0.0
    return Volume(data, affine, space, rounding, notes)


def _shape(header: Any) -> tuple[int, ...]:
    """(X, Y, Z) or (X, Y, Z, N) of a file that holds a volume of numbers."""
    if kind := _NOT_VOLUMES.get(int(header["intent_code"])):
        raise UnusableError(f"is not a volume but holds {kind} (intent code {int(header['intent_code'])})")
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = "colours" if dtype.names else "complex numbers" if dtype.kind == "c" else str(dtype)
        raise UnusableError(
            f"stores {kind} (datatype {int(header['datatype'])}); one integer or float per voxel is needed",
            "split it into one file per channel" if dtype.names else "",
        )
    declared = header.get_data_shape()
    shape = tuple(declared[:3]) + tuple(n for n in declared[3:] if n > 1)
    if len(shape) not in (3, 4):
        raise UnusableError(f"has shape {declared}; three axes, and one more for channels, can be read")
    return shape


def _scaling(header: Any) -> tuple[float | None, float | None]:
    """Slope and intercept; None where the stored numbers are the values, as a slope of 0 or NaN says."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return None, None
    if not np.isfinite([slope, inter]).all():
        raise UnusableError(f"has the scaling {slope:g} x + {inter:g} (scl_slope, scl_inter)", "correct its header")
    return slope, inter


def _describe_strangers(path: Path, case: str, data: np.ndarray, labels: int) -> str:
    ids, counts = np.unique(data[(data < 0) | (data >= labels)], return_counts=True)
    found = ", ".join(f"{int(i)} ({n} voxel{'s' if n > 1 else ''})" for i, n in zip(ids[:5], counts, strict=False))
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"case {case} has label {found}{more}; the data set declares 0..{labels - 1} ({path})"
