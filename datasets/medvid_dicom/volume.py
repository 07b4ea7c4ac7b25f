"""A DICOM series as one array with its affine."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medvid.data.volumes.formats.format import MAX_VOXELS, UnusableError
from medvid.sentences import listed
from medvid_dicom.container import FILM_HINT
from medvid_dicom.files import Header, lenient, read_headers
from medvid_dicom.frames import Frame, frames_of
from medvid_dicom.geometry import TOLERANCE, arrange
from medvid_dicom.pet import suv_factor
from medvid_dicom.pixels import decode, is_inverted, padding, values
from medvid_dicom.stacks import Choice, Stack, choose, find_stacks

NOT_IMAGES = ("SEG", "RTSTRUCT", "PR", "SR", "KO", "REG", "RTPLAN", "RTRECORD", "SM")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a series lies.

    Args:
        shape: columns, rows, slices.
        affine: (4, 4), from column, row and slice to RAS millimetres.
        frames: the frame of each slice.
        notes: what is odd about it but not an error.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """A series.

    Args:
        data: (column, row, slice), slices ascending along cross(row direction, column direction): int32 or float32, in
            the modality's units (HU; Bq/ml); colours are (column, row, slice, 3).
        place: where it lies.
        notes: what is odd about it but not an error.
    """

    data: np.ndarray
    place: Place
    notes: tuple[str, ...] = ()


def read_place(path: Path, series: Choice = "", tolerance: float = TOLERANCE) -> Place:
    """Find where the chosen series of a file, folder or zip lies, from its headers alone.

    Raises:
        UnusableError: as `read_scan`, for problems visible in headers.
    """
    with lenient():
        headers, notes = read_headers(path)
        stack, left_out = choose(_stacks(headers), series)
        frames, affine, odd = arrange(stack, tolerance)
        rows, columns = frames[0].shape
        if rows * columns * len(frames) > MAX_VOXELS:
            raise UnusableError(f"declares {len(frames)} slices of {rows} x {columns}, more than can be read")
        return Place((columns, rows, len(frames)), affine, frames, (*notes, *left_out, *odd))


def read_scan(path: Path, series: Choice = "", tolerance: float = TOLERANCE, *, suv: bool = False) -> Scan:
    """Read the chosen series of a file (enhanced), folder or zip.

    Args:
        path: the file, or what holds the files; their names, and InstanceNumber, do not matter.
        series: which one, where there are several.
        tolerance: see `medvid_dicom.geometry.arrange`.
        suv: activity (PET) becomes SUVbw.

    Raises:
        UnusableError: there is no series or more than one fits, it is not a regular grid, or a file is damaged.
    """
    place = read_place(path, series, tolerance)
    with lenient():
        data, notes = _fill(place)
        if suv:
            data = data * np.float32(suv_factor(place.frames))
    return Scan(data, place, (*place.notes, *notes))


def _stacks(headers: tuple[Header, ...]) -> tuple[Stack, ...]:
    images = [header for header in headers if header.get("Modality") not in NOT_IMAGES]
    frames = [frame for header in images for frame in frames_of(header)]
    placed = [frame for frame in frames if frame.is_placed]
    if not placed:
        kinds = listed(list(dict.fromkeys(header.kind for header in headers)))
        reason = "none of its frames says where it lies in the patient: images, not a volume" if frames else "no images"
        hint = FILM_HINT if len(frames) > len(images) else "the data set images reads such files" if frames else ""
        raise UnusableError(f"holds no volume, {reason} ({kinds})", hint)
    return find_stacks(placed)


def _fill(place: Place) -> tuple[np.ndarray, tuple[str, ...]]:
    planes: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    file: tuple[Header, np.ndarray] | None = None
    for frame in place.frames:
        if file is None or file[0] is not frame.header:
            file = frame.header, decode(frame.header)
        stored = file[1][frame.index]
        planes.append(values(frame, stored))
        masks.append(padding(frame, stored))
    data = np.swapaxes(np.stack(planes, axis=2), 0, 1)
    filled = np.swapaxes(np.stack(masks, axis=2), 0, 1)
    notes = []
    if filled.any() and not filled.all():
        lowest = data[~filled].min()
        data[filled] = lowest
        notes.append(
            f"has {int(filled.sum())} padding voxels (PixelPaddingValue); they get its lowest value, {lowest:g}"
        )
    if is_inverted(place.frames[0].header):
        notes.append("is MONOCHROME1 (low is bright); its numbers are inverted")
    return data, tuple(notes)
