"""DICOM SEG: segments as frames of bits, of fractions or of label ids, put on the grid of the scan by their places."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid_dicom.files import Header, lenient, read_headers
from medvid_dicom.frames import Frame, frames_of
from medvid_dicom.geometry import affine_of, thickness
from medvid_dicom.pixels import decode
from medvid_dicom.structures import Structure

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
KINDS = ("1.2.840.10008.5.1.4.1.1.66.4", LABEL_MAP)
"""SOP classes of segmentations: bits or fractions per segment, and label ids."""

_OFF = 0.1  # voxels by which a pixel may miss the centre of a voxel of the scan


def own_place(path: Path) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Where a segmentation lies by itself: from its first frame to the last, empty ones that it lacks included.

    Returns:
        Affine (4, 4) and shape, as of `read_segmentation`.

    Raises:
        UnusableError: it is not a segmentation, or its frames are not evenly spaced.
    """
    with lenient():
        frames = list(frames_of(_header(path)))
        along = np.array([frame.position @ frames[0].normal for frame in frames])
        places = np.unique(np.round(along, 3))
        first, last = frames[int(along.argmin())], frames[int(along.argmax())]
        rows, columns = first.shape
        if len(places) == 1:
            return affine_of(first, thickness(first)[0]), (columns, rows, 1)
        numbers = (places - places[0]) / np.diff(places).min()
        if np.abs(numbers - np.rint(numbers)).max() > _OFF:
            raise UnusableError("has frames that are not evenly spaced", "read it beside the images that it belongs to")
        count = round(float(numbers[-1])) + 1
        return affine_of(first, (last.position - first.position) / (count - 1)), (columns, rows, count)


def read_segmentation(path: Path, affine: np.ndarray, shape: tuple[int, ...]) -> tuple[Structure, ...]:
    """Read the segments of a file on a grid; slices without a frame are empty.

    Args:
        path: the file.
        affine: (4, 4), of the scan that was segmented.
        shape: of that scan, three axes.

    Raises:
        UnusableError: it is not a segmentation, is damaged, or its pixels are not voxels of the scan.
    """
    with lenient():
        header = _header(path)
        names = {int(item.SegmentNumber): str(item.get("SegmentLabel", "")) for item in header.get("SegmentSequence")}
        stored, to_index = decode(header), np.linalg.inv(affine)
        parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        for frame in frames_of(header):
            place = _on_grid(frame, to_index)
            for number, part in _segments(frame, stored[frame.index]):
                parts[number].append(_voxels(part, place, shape))
    fractional = header.get("SegmentationType") == "FRACTIONAL"
    return tuple(
        _structure(number, name, parts[number], fractional) for number, name in sorted(names.items()) if number
    )


def _structure(number: int, name: str, parts: list[tuple[np.ndarray, np.ndarray]], fractional: bool) -> Structure:
    if not parts:
        return Structure(number, name)
    voxels, fractions = zip(*parts, strict=True)
    return Structure(number, name, np.concatenate(voxels, axis=1), np.concatenate(fractions) if fractional else None)


def _header(path: Path) -> Header:
    headers, _ = read_headers(path)
    found = [header for header in headers if header.get("SOPClassUID") in KINDS]
    if len(found) != 1 or len(headers) != 1:
        kinds = ", ".join(sorted({header.kind for header in headers}))
        raise UnusableError(f"holds {kinds}; one DICOM SEG file is needed")
    return found[0]


def _segments(frame: Frame, stored: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Segment numbers with how much of each pixel (row, column) is part of them."""
    if frame.header.get("SOPClassUID") == LABEL_MAP:
        for number in np.unique(stored[stored > 0]):
            yield int(number), (stored == number).astype(np.float32)
    else:
        fractional = frame.header.get("SegmentationType") == "FRACTIONAL"
        highest = int(frame.header.get("MaximumFractionalValue") or 255) if fractional else 1
        yield int(frame.get("ReferencedSegmentNumber")), stored.astype(np.float32) / highest


def _on_grid(frame: Frame, to_index: np.ndarray) -> np.ndarray:
    """(3, 3): column and row of the frame, and 1, to voxel indices of the scan."""
    matrix = (to_index @ frame.plane)[:3]
    rows, columns = frame.shape
    corners = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1], [1, 1, 1, 1]])
    if np.abs((matrix - np.rint(matrix)) @ corners).max() > _OFF:
        raise UnusableError(
            f"has a frame ({frame.index + 1}) that does not lie on voxels of the image",
            "make sure that it was drawn on this series, or resample it",
        )
    return np.asarray(np.rint(matrix))


def _voxels(part: np.ndarray, place: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Indices (3, n) of the voxels of the scan that the pixels of a frame are, and how much of each is meant."""
    rows, columns = np.nonzero(part)
    voxels = (place @ np.stack([columns, rows, np.ones_like(rows)])).astype(np.int64)
    outside = ((voxels < 0) | (voxels >= np.array(shape)[:, None])).any(axis=0)
    if outside.any():
        raise UnusableError(f"has {int(outside.sum())} voxels outside the image")
    return voxels, part[rows, columns]
