"""DICOM behind the contract of a format: series as images, segmentations and structure sets as their labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medvid.data.listing import files_below
from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, Picture, UnusableError, Volume
from medvid_dicom.config import DicomOptions
from medvid_dicom.container import FILM_HINT, kinds_of

if TYPE_CHECKING:
    from medvid_dicom.frames import Frame
    from medvid_dicom.structures import Structure
    from medvid_dicom.volume import Place

CONTOURS = "1.2.840.10008.5.1.4.1.1.481.3"
STRUCTURES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", CONTOURS)
"""SOP classes of labels; whatever else has pixels is an image."""


class Dicom(Format):
    """A series of images, as `medvid_dicom.volume` reads it."""

    options: DicomOptions

    def recognises(self, path: Path) -> bool:
        return _kind(path) not in (*STRUCTURES, None)

    def files(self, path: Path) -> tuple[Path, ...]:
        return files_below(path)

    def geometry(self, path: Path) -> Geometry:
        with _needing_pydicom():
            from medvid_dicom.volume import read_place
        return _geometry(read_place(path, self.options.series, self.options.tolerance))

    def read(self, path: Path) -> Volume:
        with _needing_pydicom():
            from medvid_dicom.volume import read_scan
        options = self.options
        scan = read_scan(path, options.series, options.tolerance, suv=options.suv)
        return Volume(scan.data, _geometry(scan.place), notes=scan.notes)

    def read_picture(self, path: Path) -> Picture:
        """White is the largest number that the stored bits hold, unless they are rescaled."""
        with _needing_pydicom():
            from medvid_dicom.images import read_frames
        frames = read_frames(path)
        if len(frames.data) > 1:
            raise UnusableError(f"holds {len(frames.data)} frames, one is needed", FILM_HINT)
        return Picture(frames.data[0], frames.white)


class DicomSeg(Format):
    """Named structures, which may overlap: segments of a segmentation, or regions of a structure set."""

    def recognises(self, path: Path) -> bool:
        return _kind(path) in STRUCTURES

    def files(self, path: Path) -> tuple[Path, ...]:
        return files_below(path)

    def geometry(self, path: Path) -> Geometry:
        """That of a segmentation's own frames, from the first to the last."""
        with _needing_pydicom():
            from medvid_dicom.segmentation import own_place
        if _kind(path) == CONTOURS:
            raise UnusableError("has contours, which have no grid of their own", "use it as the labels of its images")
        affine, shape = own_place(path)
        return Geometry(shape, affine, format=self.options.name)

    def read(self, path: Path) -> Volume:
        return self.read_on(path, self.geometry(path))

    def read_on(self, path: Path, geometry: Geometry) -> Volume:
        """Put the structures on the voxels of the image, whatever the order and number of their frames."""
        with _needing_pydicom():
            from medvid_dicom.contours import read_contours
            from medvid_dicom.segmentation import read_segmentation
        affine, shape = geometry.affine, geometry.shape
        if _kind(path) == CONTOURS:
            slices = {uid: index for index, (uid, _) in enumerate(geometry.header.get("frames", ()))}
            structures, notes = read_contours(path, affine, shape, slices)
        else:
            structures, notes = read_segmentation(path, affine, shape), ()
        return Volume(_merged(structures, shape), geometry, tuple(each.name for each in structures), notes=notes)

    def write(self, path: Path, label_map: LabelMap) -> None:
        with _needing_pydicom():
            from medvid_dicom.writing import write_segmentation
        names = label_map.names or tuple(map(str, range(int(label_map.labels.max()) + 1)))
        write_segmentation(path, label_map.labels, names, _frames(label_map))


def _kind(path: Path) -> str | None:
    """The SOP class of a path: that of an image if it has one, as images and their labels may share a folder."""
    kind = None
    for kind in kinds_of(path):
        if kind not in STRUCTURES:
            break
    return kind


@contextmanager
def _needing_pydicom() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        missing = "is DICOM, which is read by pydicom, and that is not installed"
        raise UnusableError(missing, 'pip install "medvid[dicom]"') from error


def _geometry(place: "Place") -> Geometry:
    frames = [[str(frame.get("SOPInstanceUID")), frame.index] for frame in place.frames]
    return Geometry(place.shape, place.affine, format="dicom", header={"frames": frames})


def _merged(structures: "Sequence[Structure]", shape: tuple[int, ...]) -> np.ndarray:
    """(X, Y, Z) of numbers if no voxel is part of two, else (X, Y, Z, N) masks; fractions as float32."""
    if any(each.fractions is not None for each in structures):
        return np.stack([each.part(shape) for each in structures], axis=3)
    numbers = np.zeros(shape, np.uint16)
    for number, each in enumerate(structures, start=1):
        if numbers[tuple(each.voxels)].any():
            return np.stack([each.mask(shape).astype(np.uint8) for each in structures], axis=3)
        numbers[tuple(each.voxels)] = number
    return numbers


def _frames(label_map: LabelMap) -> "tuple[Frame, ...]":
    """The images that a label map was made from, slice by slice."""
    from medvid_dicom.files import lenient, read_headers
    from medvid_dicom.frames import frames_of

    if label_map.geometry.format != "dicom" or not label_map.sources:
        raise UnusableError(
            "cannot be written as DICOM SEG, which repeats patient, study and places of DICOM images: these are none",
            "leave out --format",
        )
    with lenient():
        headers, _ = read_headers(label_map.sources[0])
        found = {
            (str(each.get("SOPInstanceUID")), each.index): each for header in headers for each in frames_of(header)
        }
    try:
        return tuple(found[uid, index] for uid, index in label_map.geometry.header["frames"])
    except KeyError:
        raise UnusableError("cannot be written as DICOM SEG, as its images are not the same any more") from None
