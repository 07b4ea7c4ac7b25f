"""Where each frame lies and what its numbers mean, whether it is a file of its own or one of an enhanced file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medvid.data.volumes.formats.format import MAX_VOXELS
from medvid_dicom.files import Header

_UNIT = 1e-2  # by which directions may miss length 1 and right angles; they are written with few digits


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane of pixels.

    Args:
        header: of its file.
        index: of the frame in it, from 0.
        groups: the functional groups that speak of it alone, then those of all frames of the file.
        offset: along the normal, in mm, from the position that the file gives for its first frame.
    """

    header: Header
    index: int = 0
    groups: tuple[Any, ...] = ()
    offset: float = 0.0

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of an attribute: the frame's own, else its file's; the default where it is absent or empty."""
        for group in self.groups:
            for element in group:
                if element.VR == "SQ" and len(element.value) and keyword in (item := element.value[0]):
                    value = item[keyword].value
                    return default if value is None or value == "" else value
        return self.header.get(keyword, default)

    def number(self, keyword: str, default: float = 0) -> float:
        """The value of an attribute that holds one number.

        Raises:
            UnusableError: it holds something else.
        """
        try:
            return float(self.get(keyword, default))
        except (TypeError, ValueError):
            raise self.header.fault(f"{keyword} is {self.get(keyword)}, a number is needed") from None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.header.get("Rows")), int(self.header.get("Columns"))

    @property
    def directions(self) -> np.ndarray:
        """(2, 3), LPS: where columns, and where rows, grow; of length 1, at right angles.

        Raises:
            UnusableError: they are not.
        """
        values = self._numbers("ImageOrientationPatient", 6).reshape(2, 3)
        if np.abs(values @ values.T - np.eye(2)).max() > _UNIT:
            raise self.header.fault(
                f"ImageOrientationPatient {values.ravel().tolist()} is not two axes at right angles"
            )
        return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))

    @property
    def normal(self) -> np.ndarray:
        """(3,), LPS, across the plane."""
        return np.cross(*self.directions)

    @property
    def position(self) -> np.ndarray:
        """(3,), LPS, in mm: the centre of the first pixel."""
        return self._numbers("ImagePositionPatient", 3) + self.offset * self.normal

    @property
    def spacing(self) -> np.ndarray:
        """(2,), in mm: between rows, and between columns."""
        values = self._numbers("PixelSpacing", 2)
        if not (values > 0).all():
            raise self.header.fault(f"PixelSpacing is {values.tolist()}")
        return values

    @property
    def plane(self) -> np.ndarray:
        """(4, 3): column and row index, and 1, to RAS millimetres; the third column is the first pixel's place."""
        between_rows, between_columns = self.spacing
        across, down = self.directions
        lps = np.stack([across * between_columns, down * between_rows, self.position], axis=1)
        return np.vstack([np.diag([-1.0, -1.0, 1.0]) @ lps, [0, 0, 1]])

    @property
    def is_placed(self) -> bool:
        """Whether it says where it lies in the patient."""
        return all(self.get(name) is not None for name in ("ImageOrientationPatient", "ImagePositionPatient"))

    def _numbers(self, keyword: str, count: int) -> np.ndarray:
        try:
            values = np.array([float(value) for value in self.get(keyword)])
        except (TypeError, ValueError):
            values = np.empty(0)
        if len(values) != count or not np.isfinite(values).all():
            raise self.header.fault(f"{keyword} is {self.get(keyword)}, {count} numbers are needed")
        return values


def frames_of(header: Header) -> Iterator[Frame]:
    """The frames of a file that holds pixels; none of one that does not."""
    if not (header.get("Rows") and header.get("Columns")):
        return
    count = int(header.number("NumberOfFrames", 1))
    rows, columns = header.number("Rows"), header.number("Columns")
    if rows * columns * count > MAX_VOXELS:
        raise header.fault(f"it declares {count} frames of {rows:g} x {columns:g}, more than can be read")
    own: Sequence[Any] = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared: tuple[Any, ...] = tuple(header.get("SharedFunctionalGroupsSequence") or ())
    offsets: Sequence[Any] = header.get("GridFrameOffsetVector") or ()
    if own and len(own) != count:
        raise header.fault(f"it declares {count} frames and describes {len(own)}", "export it again")
    for index in range(count):
        groups = (own[index], *shared) if own else shared
        offset = float(offsets[index]) - float(offsets[0]) if len(offsets) == count else 0.0
        yield Frame(header, index, groups, offset)
