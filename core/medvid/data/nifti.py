"""NIfTI files, read whole and checked, written with a header that carries nothing but the geometry."""

import gzip
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from medvid.data.nifti_file import UnusableError, read_bytes
from medvid.errors import DataError

TOLERANCE = 0.1
"""Largest distance, in voxels, that two affines may place a corner of a volume apart and still count as equal."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The content of a NIfTI file.

    Args:
        data: voxels in the file's own axis order and units, (X, Y, Z) or (X, Y, Z, N); further axes of length 1 are
            dropped.
        affine: (4, 4), voxel indices to RAS+ millimetres; nibabel's choice: sform, else qform, else the voxel size.
        code: the NIfTI code of the space that the affine leads to, 0 if the file gives none.
        notes: what is odd about the file and yet no error.
    """

    data: np.ndarray
    affine: np.ndarray
    code: int
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
        DataError: the file is missing, empty, truncated or damaged, is no NIfTI file, asks for an absurd size, has a
            singular affine, fewer than three axes, or voxels that are NaN or infinite.
    """
    try:
        return _volume(*read_bytes(path))
    except UnusableError as error:
        raise DataError(f"case {case}: {path} {error}", hint=error.hint) from None
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror or error}") from error


def read_labels(path: Path, case: str, labels: int) -> Volume:
    """Read a label map as uint8.

    Args:
        path: the file.
        case: the case that the error names.
        labels: number of labels; ids run from 0 to ``labels - 1``, at most 255.

    Raises:
        DataError: as `read`; or the values are no integers, or no label ids.
    """
    volume = read(path, case)
    data = volume.data
    if data.ndim != 3:
        raise DataError(f"case {case}: label map {path} has shape {data.shape}, a label map has three axes")
    if data.dtype.kind == "f" and (fractions := data != np.rint(data)).any():
        raise DataError(
            f"case {case}: label map {path} has values that are no integers, e.g. {float(data[fractions][0]):g}",
            hint="resample label maps with nearest-neighbour interpolation, and store them without scaling",
        )
    if data.min() < 0 or data.max() >= labels:
        raise DataError(_describe_strangers(path, case, data, labels), hint="correct the file or the data set's labels")
    return Volume(data.astype(np.uint8), volume.affine, volume.code, volume.notes)


def check_same_grid(image: Volume, other: Volume, case: str, name: str) -> None:
    """Check that two volumes of a case lie on one another.

    Args:
        image: the first volume.
        other: the one to compare, e.g. the label map.
        case: the case that the error names.
        name: what `other` is.

    Raises:
        DataError: shapes or affines differ.
    """
    shape = image.data.shape[:3]
    if other.data.shape[:3] != shape:
        raise DataError(
            f"case {case}: the image has shape {shape}, its {name} {other.data.shape[:3]}",
            hint="see that both files are of the same scan, and resample one onto the other",
        )
    if _distance(image.affine, other.affine, shape) > TOLERANCE:
        raise DataError(
            f"case {case}: image and {name} do not lie on one another: the image's affine is "
            f"{_describe(image.affine)}, that of its {name} {_describe(other.affine)}",
            hint="resample one onto the other, or correct the header that is wrong",
        )


def write_labels(path: Path, labels: np.ndarray, affine: np.ndarray, code: int) -> None:
    """Write a label map as .nii.gz under a fresh header, at once or not at all.

    Args:
        path: the file; its folder is made.
        labels: (X, Y, Z) label ids from 0 to 65535.
        affine: (4, 4), voxel indices to RAS+ millimetres.
        code: NIfTI code of the space that the affine leads to, as `Volume.code`.
    """
    image = nib.Nifti1Image(labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16), affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _volume(header: Any, content: bytearray) -> Volume:
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise UnusableError(f"stores {dtype} voxels; integers or floats are needed")
    shape = header.get_data_shape()
    stored = np.ndarray(shape, dtype, buffer=content, offset=header.get_data_offset(), order="F")
    data = apply_read_scaling(stored, *header.get_slope_inter())
    data = data.reshape(shape[:3] + tuple(n for n in shape[3:] if n > 1), order="F")
    if data.ndim not in (3, 4):
        raise UnusableError(f"has shape {shape}; three axes, and one more for channels, can be read")
    if data.dtype.kind == "f" and (count := int((~np.isfinite(data)).sum())):
        raise UnusableError(
            f"has {count} voxels that are NaN or infinite", "replace them, e.g. by the background's value"
        )
    affine, notes = _affine(header, shape[:3])
    return Volume(data, affine, int(header["sform_code"]) or int(header["qform_code"]), notes)


def _affine(header: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        rotation = header.get_qform() if header["qform_code"] > 0 else affine
    except (HeaderDataError, ValueError) as error:
        raise UnusableError(f"has a header without a valid orientation ({error})") from error
    scale = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= 1e-6 * scale.prod():
        raise UnusableError(f"has a singular affine, {affine[:3].tolist()}", "set its sform or qform again")
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        return affine, ("gives no orientation (qform and sform codes are 0); its axes are taken to be LAS",)
    if _distance(affine, rotation, shape) > TOLERANCE:
        return affine, ("has a qform and an sform that disagree; the sform is used",)
    return affine, ()


def _distance(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """The farthest that two affines place a corner apart, in voxels of the first."""
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in shape), (1,), indexing="ij")).reshape(4, -1)
    millimetres = np.linalg.norm(((one - other) @ corners)[:3], axis=0)
    return float(millimetres.max() / voxel_sizes(one).min())


def _describe(affine: np.ndarray) -> str:
    codes = "".join(code or "?" for code in nib.aff2axcodes(affine))
    return f"{np.round(affine[:3], 4).tolist()} ({codes})"


def _describe_strangers(path: Path, case: str, data: np.ndarray, labels: int) -> str:
    ids, counts = np.unique(data[(data < 0) | (data >= labels)], return_counts=True)
    found = ", ".join(f"{int(i)} ({n} voxel{'s' if n > 1 else ''})" for i, n in zip(ids[:5], counts, strict=False))
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"case {case} has label {found}{more}; the data set declares 0..{labels - 1} ({path})"
