"""Where a NIfTI header says that its voxels lie: in its own words, and as one affine in millimetres."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.quaternions import quat2mat

from medvid.data.volumes.affines import displacement, is_singular
from medvid.data.volumes.formats.format import UnusableError

PLAUSIBLE = (0.01, 30.0)
"""Voxel sizes, in mm, outside which a wrong unit is more likely than such a scan."""

_MILLIMETRES = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # by xyzt_units: unknown, metre, millimetre, micrometre
_DISAGREE = 0.1  # voxels between the corners of a volume under its two forms
_CODES = range(1, 6)
_SCANNER = 1
_TOO_LONG = 1e-3  # excess of a quaternion's squared length beyond rounding
_RESET = "set its sform or qform again"
_ARTICLES = {"sform": "an", "qform": "a"}


@dataclass(frozen=True, slots=True)
class Space:
    """A header's own words about where its voxels lie; a prediction is written with the same.

    Lengths are in the header's own unit. The default says nothing: voxels of size 1 somewhere.

    Args:
        version: 1 or 2, of the NIfTI format.
        sform_code: the space that the sform leads to; 0 for none.
        qform_code: the space that the qform leads to; 0 for none.
        sform: the first three rows of the sform's matrix.
        quaternion: b, c, d of the qform.
        offset: the qform's translation.
        pixdim: the qform's handedness (qfac), and the voxel size on each axis.
        units: the code of the units (xyzt_units).
    """

    version: int = 1
    sform_code: int = 0
    qform_code: int = 0
    sform: tuple[tuple[float, ...], ...] = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    quaternion: tuple[float, ...] = (0.0, 0.0, 0.0)
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    pixdim: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    units: int = 0

    @classmethod
    def read(cls, header: Any) -> Self:
        """Read it from nibabel's header."""
        return cls(
            version=1 if int(header["sizeof_hdr"]) == 348 else 2,
            sform_code=int(header["sform_code"]),
            qform_code=int(header["qform_code"]),
            sform=tuple(tuple(header[f"srow_{axis}"].tolist()) for axis in "xyz"),
            quaternion=tuple(float(header[f"quatern_{part}"]) for part in "bcd"),
            offset=tuple(float(header[f"qoffset_{axis}"]) for axis in "xyz"),
            pixdim=tuple(header["pixdim"][:4].tolist()),
            units=int(header["xyzt_units"]),
        )

    def write(self, header: Any) -> None:
        """Write it into nibabel's header of the same version."""
        header["sform_code"], header["qform_code"] = self.sform_code, self.qform_code
        for axis, row, offset in zip("xyz", self.sform, self.offset, strict=True):
            header[f"srow_{axis}"], header[f"qoffset_{axis}"] = row, offset
        for part, value in zip("bcd", self.quaternion, strict=True):
            header[f"quatern_{part}"] = value
        header["pixdim"][:4] = self.pixdim
        header["xyzt_units"] = self.units

    @classmethod
    def of(cls, affine: np.ndarray) -> Self:
        """For an affine to RAS+ millimetres: an sform, and a qform too where its axes are at right angles."""
        header = nib.Nifti1Header()
        header.set_sform(affine, _SCANNER)
        header.set_xyzt_units("mm")
        header.set_qform(affine, 0, strip_shears=True)
        if np.allclose(header.get_qform(), affine, rtol=0, atol=1e-4 * voxel_sizes(affine).min()):
            header["qform_code"] = _SCANNER
        return cls.read(header)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From the result of `dataclasses.asdict`, through JSON."""
        read = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{name: _tuples(value) for name, value in read.items()})

    @property
    def has_unit(self) -> bool:
        """Whether the header gives its unit of length."""
        return self.units & 7 != 0

    @property
    def millimetres(self) -> float:
        """Millimetres per unit of length; an unknown unit is taken as mm, as is customary.

        Raises:
            UnusableError: it is not a unit of length.
        """
        unit = self.units & 7
        if unit not in _MILLIMETRES:
            raise UnusableError(
                f"gives its lengths in the unit {unit}, which NIfTI does not know", "set its xyzt_units"
            )
        return _MILLIMETRES[unit]

    def affine(self, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
        """The affine to use: the sform, else the qform, else one from the voxel size alone, as in nibabel.

        Args:
            shape: of the volume, its first three axes.

        Returns:
            (4, 4), voxel indices to RAS+ millimetres, and what is odd about it but not an error.

        Raises:
            UnusableError: none of them is valid.
        """
        forms: dict[str, tuple[int, Callable[[], np.ndarray]]] = {
            "sform": (self.sform_code, self._sform),
            "qform": (self.qform_code, self._qform),
        }
        found: dict[str, np.ndarray] = {}
        faults: list[str] = []
        for name, (code, read) in forms.items():
            try:
                if code and code not in _CODES:
                    raise ValueError(f"its code is {code}, which NIfTI does not know")
                if code:
                    found[name] = read()
            except ValueError as error:
                faults.append(f"{_ARTICLES[name]} {name} that cannot be used ({error})")
        if faults and not found:
            raise UnusableError(f"has {' and '.join(faults)}, and no other orientation", _RESET)
        name, affine = next(iter(found.items()), ("", self._guess(shape)))
        affine = np.diag([*[self.millimetres] * 3, 1.0]) @ affine
        notes = [f"has {fault}; the {name} is used" for fault in faults]
        return affine, (*notes, *self._doubts(found, shape), *_implausible(affine))

    def _doubts(self, found: dict[str, np.ndarray], shape: tuple[int, ...]) -> list[str]:
        notes = []
        missing = [axis for axis, size in enumerate(self.pixdim[1:]) if size == 0]
        if missing and "sform" not in found:
            notes.append(f"gives no voxel size on axis {', '.join(map(str, missing))} (pixdim 0); 1 is used")
        if not found:
            notes.append("gives no orientation (qform and sform codes are 0); its axes are assumed to be LAS")
        elif len(found) == 2 and displacement(found["sform"], found["qform"], shape) > _DISAGREE:
            notes.append("has a qform and an sform that disagree; the sform is used")
        elif not self.qform_code and not np.allclose(voxel_sizes(found["sform"]), self._sizes(), rtol=0.01):
            notes.append(f"has a pixdim {_by(self.pixdim[1:])} that its sform contradicts; the sform is used")
        return notes

    def _sizes(self) -> np.ndarray:
        """The voxel size on each axis, in the header's unit; 0 and signs are read as in NIfTI's own library."""
        sizes = np.abs(self.pixdim[1:])
        return np.where(sizes == 0, 1.0, sizes)

    def _sform(self) -> np.ndarray:
        affine = np.array([*self.sform, (0, 0, 0, 1)], dtype=np.float64)
        if is_singular(affine):
            raise ValueError(f"it is singular, {affine[:3].tolist()}")
        return affine

    def _qform(self) -> np.ndarray:
        qfac, *sizes = self.pixdim
        squared = float(np.square(self.quaternion).sum())
        if not np.isfinite([squared, *self.offset, qfac, *sizes]).all():
            raise ValueError("it has values that are not finite")
        if squared > 1 + _TOO_LONG:
            raise ValueError(f"its quaternion has the length {squared**0.5:.4g}, not 1")
        if min(sizes) < 0 or (0 in sizes and self.sform_code):
            raise ValueError(f"the voxel size is {_by(sizes)}")
        if qfac not in (-1, 0, 1):
            raise ValueError(f"its qfac is {qfac:g}, not 1 or -1")
        affine = np.eye(4)
        # The real part is not stored; a remainder within rounding, of either sign, counts as 0. quat2mat scales the
        # whole to length 1.
        rounding = 3 * np.finfo(np.float32 if self.version == 1 else np.float64).eps
        real = (1 - squared) ** 0.5 if 1 - squared > rounding else 0.0
        affine[:3, :3] = quat2mat([real, *self.quaternion]) * self._sizes()
        affine[:3, 2] *= -1 if qfac < 0 else 1
        affine[:3, 3] = self.offset
        return affine

    def _guess(self, shape: tuple[int, ...]) -> np.ndarray:
        """As nibabel does: the first axis to the left, the origin in the middle."""
        linear = np.diag(self._sizes() * (-1, 1, 1))
        affine = np.eye(4)
        affine[:3, :3] = linear
        affine[:3, 3] = -linear @ (np.array(shape) - 1) / 2
        if is_singular(affine):
            raise UnusableError(f"has the voxel size {_by(self.pixdim[1:])}, and no other orientation", _RESET)
        return affine


def _implausible(affine: np.ndarray) -> list[str]:
    sizes = voxel_sizes(affine)
    if PLAUSIBLE[0] <= sizes.min() and sizes.max() <= PLAUSIBLE[1]:
        return []
    return [f"has voxels of {_by(sizes)} mm; check its unit of length (xyzt_units)"]


def _by(sizes: Any) -> str:
    return " x ".join(f"{size:.6g}" for size in sizes)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
