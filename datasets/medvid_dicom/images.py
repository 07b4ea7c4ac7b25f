"""DICOM images without a place in the patient: radiographs, photographs, ultrasound, still or moving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.pixels import apply_color_lut

from medvid.data.videos.dicom import seconds_of
from medvid.data.volumes.formats.format import UnusableError
from medvid_dicom.files import Header, lenient, read_headers
from medvid_dicom.frames import Frame, frames_of
from medvid_dicom.pixels import decode, is_inverted, values

_CENTIMETRES = 3  # PhysicalUnitsXDirection


@dataclass(frozen=True, slots=True)
class Region:
    """A calibrated part of an ultrasound image.

    Args:
        box: its first column and row, and its last ones.
        delta: (x, y): cm per pixel; None where an axis is not a length, as that of a Doppler spectrum.
    """

    box: tuple[int, int, int, int]
    delta: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a file.

    Args:
        data: (frame, row, column), the higher the brighter, or (frame, row, column, 3) uint8 RGB.
        white: the largest number that the stored bits hold; None if it means another value, or there are negative ones.
        spacing: mm between rows, and between columns, on the detector where those in the patient are unknown; or None.
        times: (frame,), ms since the first frame; None if unknown.
        regions: of ultrasound.
        notes: what is assumed.
    """

    data: np.ndarray
    white: float | None = None
    spacing: tuple[float, float] | None = None
    times: np.ndarray | None = None
    regions: tuple[Region, ...] = ()
    notes: tuple[str, ...] = ()


def read_frames(path: Path) -> Frames:
    """Read the frames of one DICOM file, in the file's order.

    Raises:
        UnusableError: it is not DICOM, holds no pixels, is damaged, or a decoder has to be installed.
    """
    with lenient():
        (header, *others), _ = read_headers(path)
        if others:
            raise UnusableError(f"holds {len(others) + 1} DICOM files, one is needed")
        frames = tuple(frames_of(header))
        if not frames:
            raise UnusableError(f"holds no pixels: it is of the kind {header.kind}")
        data = _brightness(header, frames, decode(header))
        notes = ["is MONOCHROME1 (low is bright); its numbers are inverted"] if is_inverted(header) else []
        white = 255 if data.dtype == np.uint8 else _white(header, frames)
        spacing = _spacing(frames[0], notes)
        seconds, odd = seconds_of(header.get, len(frames))
        times = None if seconds is None else 1000 * seconds
        return Frames(data, white, spacing, times, _regions(header), (*notes, *odd))


def _brightness(header: Header, frames: Sequence[Frame], stored: np.ndarray) -> np.ndarray:
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        coloured = np.asarray(apply_color_lut(stored, header.tags))[..., :3]
        return coloured if coloured.dtype == np.uint8 else (coloured >> 8).astype(np.uint8)
    if stored.ndim == 4:
        bits = int(header.number("BitsStored", 8))
        return stored if stored.dtype == np.uint8 else (stored >> max(bits - 8, 0)).astype(np.uint8)
    return np.stack([values(frame, plane) for frame, plane in zip(frames, stored, strict=True)])


def _white(header: Header, frames: Sequence[Frame]) -> float | None:
    rescaled = {(frame.number("RescaleSlope", 1), frame.number("RescaleIntercept")) for frame in frames} != {(1, 0)}
    if rescaled or header.get("PixelRepresentation") or header.get("ModalityLUTSequence"):
        return None
    return float((1 << int(header.number("BitsStored"))) - 1)


def _spacing(frame: Frame, notes: list[str]) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        given = [float(value) for value in frame.get(keyword) or ()]
        if len(given) == 2 and min(given) > 0:
            if keyword == "ImagerPixelSpacing":
                notes.append("has the spacing of its detector alone; that in the patient is smaller")
            return given[0], given[1]
    return None


def _regions(header: Header) -> tuple[Region, ...]:
    return tuple(_region(item) for item in header.get("SequenceOfUltrasoundRegions") or ())


def _region(item: Any) -> Region:
    corners = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    x0, y0, x1, y1 = (int(item.get(name, 0)) for name in corners)
    units = {item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection")}
    lengths = units == {_CENTIMETRES}
    delta = (float(item.get("PhysicalDeltaX", 0)), float(item.get("PhysicalDeltaY", 0))) if lengths else None
    return Region((x0, y0, x1, y1), delta)
