"""Analyze 7.5: a .hdr file and an .img file, which do not say where left and right are."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medvid.data.volumes.affines import is_singular
from medvid.data.volumes.formats.format import Format, Geometry, UnusableError, Volume, first_bytes
from medvid.data.volumes.formats.stored import AGAIN, Stored, check_finite

NAME = "analyze"

_LENGTH = 348
_NO_SIDES = (
    "is Analyze 7.5, which does not say where left and right are: its first axis is assumed to run to the left, as "
    "nibabel does, with the origin in the middle"
)


def write_demo(folder: Path) -> Path:
    """Write a small volume, for the conformance kit."""
    path = folder / "case.img"
    voxels = np.random.default_rng(0).integers(-100, 100, (5, 4, 3)).astype(np.int16)
    nib.AnalyzeImage(voxels, np.diag([-0.7, 0.9, 2.1, 1.0])).to_filename(path)
    return path


class Analyze(Format):
    """Analyze 7.5 (Mayo Clinic), and SPM's variants with a scale and a .mat file; named by its .img file."""

    def recognises(self, path: Path) -> bool:
        header = path.with_suffix(".hdr")
        return path.suffix.lower() == ".img" and header.is_file() and _is_header(first_bytes(header, _LENGTH))

    def files(self, path: Path) -> tuple[Path, ...]:
        return path, *(other for other in map(path.with_suffix, (".hdr", ".mat")) if other.is_file())

    def geometry(self, path: Path) -> Geometry:
        return _geometry(_load(path))

    def read(self, path: Path) -> Volume:
        image = _load(path)
        geometry = _geometry(image)
        if path.stat().st_size < (expected := Stored(image.get_data_dtype(), image.shape).bytes):
            raise UnusableError(f"is truncated (got {path.stat().st_size} of {expected} bytes)", AGAIN)
        try:
            data = np.asanyarray(image.dataobj)
        except Exception as error:  # of nibabel, whatever the bytes
            raise UnusableError(f"is damaged ({error})", AGAIN) from error
        check_finite(data)
        notes = () if path.with_suffix(".mat").is_file() else (_NO_SIDES,)
        channels = data.reshape(*geometry.shape, -1)
        return Volume(channels if channels.shape[3] > 1 else channels[..., 0], geometry, notes=notes)


def _is_header(head: bytes) -> bool:
    return len(head) == _LENGTH and _LENGTH in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))


def _load(path: Path) -> Any:
    header = path.with_suffix(".hdr")
    if not header.is_file():
        raise UnusableError(f"lacks its header, {header.name}", "put the file back beside it")
    head = first_bytes(header, _LENGTH)
    if head[344:347] in (b"ni1", b"ni2"):
        raise UnusableError(
            "belongs to a NIfTI pair of .hdr and .img", f"join it: nib-convert {header.name} {path.stem}.nii.gz"
        )
    if not _is_header(head):
        raise UnusableError("has a header that is not one of Analyze 7.5", AGAIN)
    try:
        image: Any = nib.Spm2AnalyzeImage.from_filename(path)
    except Exception as error:  # of nibabel, whatever the bytes
        raise UnusableError(f"has a header that cannot be read ({error})", AGAIN) from error
    return image


def _geometry(image: Any) -> Geometry:
    shape = image.shape
    if not 3 <= len(shape) <= 4 or image.get_data_dtype().kind not in "iuf":
        raise UnusableError(f"holds {image.get_data_dtype()} of shape {shape}; three axes of numbers are needed")
    Stored(image.get_data_dtype(), shape)
    if is_singular(np.asarray(image.affine)):
        raise UnusableError(f"has the voxel size {image.header.get_zooms()[:3]}, which cannot be right")
    return Geometry(shape[:3], np.asarray(image.affine, np.float64), 1.0, NAME)
