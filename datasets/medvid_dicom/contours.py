"""RTSTRUCT: contours in mm, filled on the slices of the scan that they were drawn on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid.sentences import listed
from medvid_dicom.files import lenient, read_headers
from medvid_dicom.structures import Structure

KIND = "1.2.840.10008.5.1.4.1.1.481.3"
"""SOP class of structure sets."""

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_OFF = 0.25  # slices by which a contour may miss its slice


def read_contours(
    path: Path, affine: np.ndarray, shape: tuple[int, ...], slices: Mapping[str, int] | None = None
) -> tuple[tuple[Structure, ...], tuple[str, ...]]:
    """Read the regions of interest of a file on a grid.

    A voxel is inside if its centre is inside an odd number of the slice's contours, so that inner rings are holes.
    Slices without a contour stay empty: nothing is interpolated.

    Args:
        path: the file.
        affine: (4, 4), of the scan that was drawn on: column, row and slice to RAS millimetres.
        shape: columns, rows and slices of that scan.
        slices: the slice of each SOPInstanceUID; where a contour names another one, its place decides.

    Returns:
        The regions, and notes on contours that enclose nothing.

    Raises:
        UnusableError: it is not a structure set, or contours do not lie on the slices.
    """
    with lenient():
        headers, _ = read_headers(path)
        if len(headers) != 1 or headers[0].get("SOPClassUID") != KIND:
            raise UnusableError(f"holds {listed([header.kind for header in headers])}; one RTSTRUCT file is needed")
        header = headers[0]
        names = {int(roi.ROINumber): str(roi.get("ROIName", "")) for roi in header.get("StructureSetROISequence") or ()}
        drawn = {int(roi.ReferencedROINumber): roi for roi in header.get("ROIContourSequence") or ()}
        to_index = np.linalg.inv(affine) @ np.diag([-1.0, -1.0, 1.0, 1.0])
        structures, notes = [], []
        for number, name in sorted(names.items()):
            contours = list((drawn[number].get("ContourSequence") if number in drawn else None) or ())
            closed = [contour for contour in contours if contour.get("ContourGeometricType") in _CLOSED]
            if others := len(contours) - len(closed):
                notes.append(f"region {name} has {others} points or open contours, which enclose nothing")
            by_slice: dict[int, list[np.ndarray]] = defaultdict(list)
            for contour in closed:
                points = _points(contour, to_index, name)
                by_slice[_slice(contour, points, slices or {}, shape[2], name)].append(points[:2])
            structures.append(Structure(number, name, _fill(by_slice, shape)))
    return tuple(structures), tuple(notes)


def inside(contours: Sequence[np.ndarray], columns: int, rows: int) -> np.ndarray:
    """Which pixel centres lie inside an odd number of polygons.

    Args:
        contours: each (2, n): column and row of its corners, in pixels; the last is joined to the first.
        columns: of the image.
        rows: of the image.

    Returns:
        (column, row), bool.
    """
    crossings = np.zeros((rows, columns + 1), np.int64)
    for x, y in contours:
        for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
            low, high = sorted((y0, y1))
            lines = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), rows))  # low <= line < high
            if len(lines):
                at = x0 + (lines - y0) * (x1 - x0) / (y1 - y0)
                np.add.at(crossings, (lines, np.clip(np.ceil(at), 0, columns).astype(np.int64)), 1)
    to_the_right = crossings[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    return np.asarray(to_the_right % 2 == 1).T


def _points(contour: Any, to_index: np.ndarray, name: str) -> np.ndarray:
    """(3, n): column, row and slice of the corners."""
    numbers = np.array([float(value) for value in contour.get("ContourData") or ()])
    if len(numbers) % 3 or not np.isfinite(numbers).all():
        raise UnusableError(f"has a contour of {name} with {len(numbers)} numbers, three per point are needed")
    points = numbers.reshape(-1, 3).T
    return np.asarray((to_index @ np.vstack([points, np.ones(points.shape[1])]))[:3])


def _slice(contour: Any, points: np.ndarray, slices: Mapping[str, int], count: int, name: str) -> int:
    images = [str(item.get("ReferencedSOPInstanceUID")) for item in contour.get("ContourImageSequence") or ()]
    along = points[2]
    nearest = next((slices[image] for image in images if image in slices), int(np.rint(np.median(along))))
    if np.abs(along - nearest).max() > (0.5 if images and images[0] in slices else _OFF):
        raise UnusableError(
            f"has a contour of {name} at {float(np.median(along)):.2f} slices, not on a slice of the image",
            "make sure that it was drawn on this series",
        )
    if not 0 <= nearest < count:
        raise UnusableError(f"has a contour of {name} on slice {nearest}, outside the image of {count} slices")
    return nearest


def _fill(by_slice: Mapping[int, Sequence[np.ndarray]], shape: tuple[int, ...]) -> np.ndarray:
    voxels = [np.empty((3, 0), np.int64)]
    for number, contours in by_slice.items():
        columns, rows = np.nonzero(inside(contours, shape[0], shape[1]))
        voxels.append(np.stack([columns, rows, np.full_like(rows, number)]))
    return np.concatenate(voxels, axis=1)
