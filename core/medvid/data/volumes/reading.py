"""The volumes of a case, read through the formats and checked against each other; errors name case and file."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from medvid.data.volumes.affines import describe, displacement
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Geometry, LabelMap, Picture, UnusableError, Volume
from medvid.data.volumes.structures import as_label_map
from medvid.errors import DataError
from medvid.files import make_folder
from medvid.sentences import listed

log = logging.getLogger(__name__)

TOLERANCE = 0.1
"""Largest distance, in voxels, between the corners of a volume under two affines that count as equal."""

_ROUNDING = 1e-4  # of labels that were computed in floating point
_STEP = 0.05  # a coarser scaling loses labels, or means fractions


def read(formats: Formats, path: Path, case: str) -> Volume:
    """Read an image to its end.

    Args:
        formats: the enabled ones.
        path: of the volume.
        case: the case that the error names.

    Raises:
        DataError: as `Format.read`; or the path does not exist.
    """
    with _naming(path, case):
        return formats.of_image(path).read(path)


def read_picture(formats: Formats, path: Path, case: str) -> Picture:
    """Read an image of two axes, whose name ends like one of `Formats.pictures`; raises as `read`."""
    with _naming(path, case):
        return formats.of_picture(path).read_picture(path)


def read_geometry(formats: Formats, path: Path, case: str) -> Geometry:
    """Read only the header of an image; raises as `read`, for problems visible there."""
    with _naming(path, case):
        return formats.of_image(path).geometry(path)


def files_of(formats: Formats, path: Path, case: str) -> tuple[Path, ...]:
    """All files that an image is read from; raises as `read_geometry`."""
    with _naming(path, case):
        return formats.of_image(path).files(path)


def files_of_labels(formats: Formats, path: Path, case: str) -> tuple[Path, ...]:
    """All files that an annotation is read from; raises as `read_geometry`."""
    with _naming(path, case):
        return tuple(file for part in formats.maps_of(path) for file in formats.of(part).files(part))


def read_any(formats: Formats, path: Path, case: str, image: Geometry | None = None) -> Volume:
    """Read what lies on an image, whatever it holds; for files that have no grid of their own, on that of the image.

    Raises:
        DataError: as `read`.
    """
    with _naming(path, case):
        one = formats.of(path)
        return one.read(path) if image is None else one.read_on(path, image)


def read_labels(
    formats: Formats,
    path: Path,
    case: str,
    labels: int,
    names: Sequence[str] = (),
    image: Geometry | None = None,
    stored: Sequence[int] = (),
) -> Volume:
    """Read a label map as uint8; named structures get the ids of their names, see `structures`.

    Values that differ from whole numbers only by rounding, or by the step of a scaling from stored integers, are
    rounded.

    Args:
        formats: the enabled ones.
        path: of the label map.
        case: the case that the error names.
        labels: number of labels; ids run from 0 to ``labels - 1``, at most 255.
        names: of the labels by id, the background first, for files of named structures.
        image: the geometry of the image, for files that have no grid of their own; None: the file's own.
        stored: of each id the one in the file, see `LabelScheme`; empty: the same.

    Raises:
        DataError: as `read`; or the values are not integers, or not label ids.
    """
    volume = read_any(formats, path, case, image)
    with _naming(path, case):
        if volume.masks:
            return as_label_map(volume, names or [str(label) for label in range(labels)])
    data, notes = volume.data, volume.notes
    if data.ndim != 3:
        raise DataError(f"case {case}: label map {path} has shape {data.shape}, a label map has three axes")
    if data.dtype.kind == "f":
        whole = np.rint(data)
        off = np.abs(data - whole)
        if (fractions := off > max(_ROUNDING, min(volume.rounding, _STEP))).any():
            raise DataError(
                f"case {case}: label map {path} has non-integer values, e.g. {float(data[fractions][0]):g}",
                hint="resample label maps with nearest-neighbour interpolation, and store them without scaling",
            )
        if off.max() > _ROUNDING:
            notes = (*notes, f"has values up to {off.max():.2g} off integers, by its scaling; they are rounded")
        data = whole
    if (strange := _strangers(data, labels, stored)).any():
        declared = ", ".join(map(str, stored)) or f"0..{labels - 1}"
        raise DataError(
            f"case {case} has label {_counted(data[strange])}; the data set declares {declared} ({path})",
            hint="correct the file or the data set's labels",
        )
    ids = np.searchsorted(stored, data) if stored else data
    return replace(volume, data=ids.astype(np.uint8), rounding=0.0, notes=notes)


def read_values(formats: Formats, path: Path, case: str, names: Sequence[str]) -> Volume:
    """Read a map of values: one volume, with several values along the fourth axis; NaN is unknown.

    Args:
        formats: the enabled ones.
        path: of the map.
        case: the case that the error names.
        names: of the values.

    Returns:
        (X, Y, Z, V) float32.

    Raises:
        DataError: as `read`; or there are not as many values, or structures in their place, or all are unknown.
    """
    if formats.has_structures(path):
        raise DataError(f"case {case}: {path} has structures, not a map of values", hint="put a single file there")
    with _naming(path, case):
        volume = formats.of(path).read_values(path)
    data = volume.channels_last
    if volume.masks or data.shape[3] != len(names):
        found = f"masks of {listed(volume.masks)}" if volume.masks else f"the shape {volume.data.shape}"
        wanted = "three axes" if len(names) == 1 else f"{len(names)} values along the fourth axis"
        raise DataError(f"case {case}: {path} has {found}; a map of {listed(names)} has {wanted}")
    if np.isnan(data).all():
        raise DataError(f"case {case}: {path} has no value that is known: all are NaN", hint="leave this case out")
    return replace(volume, data=data.astype(np.float32, copy=False))


def align(image: Volume, other: Volume, case: str, name: str) -> Volume:
    """Check that a volume lies on the image of its case, and give it the image's geometry.

    So rounding in one of two headers cannot shift a volume against its image. A header without a unit of length is
    taken to have the image's, since some programs lose it when they write a mask.

    Args:
        image: the image.
        other: the volume, e.g. the label map.
        case: the case that the error names.
        name: what `other` is.

    Returns:
        The volume with the geometry of the image.

    Raises:
        DataError: shapes or affines differ.
    """
    shape, found = image.geometry.shape, other.geometry
    if found.shape != shape:
        raise DataError(
            f"case {case}: the image has shape {shape}, its {name} {found.shape}",
            hint="make sure that both files are of the same scan, and resample one onto the other",
        )
    affine = found.affine
    if image.geometry.millimetres is not None and found.millimetres is None:
        affine = np.diag([*[image.geometry.millimetres] * 3, 1.0]) @ affine
    if displacement(image.affine, affine, shape) > TOLERANCE:
        raise DataError(
            f"case {case}: image and {name} do not lie on one another: the image's affine is "
            f"{describe(image.affine)}, the affine of its {name} is {describe(affine)}",
            hint="resample one onto the other, or correct the wrong header",
        )
    return other.at(image.geometry)


def write_labels(formats: Formats, folder: Path, case: str, label_map: LabelMap) -> Path:
    """Write a label map in the format of its image, else as NIfTI, complete or not at all.

    Args:
        formats: the enabled ones.
        folder: where; it is made.
        case: the name of the file, without its ending.
        label_map: what is written.

    Returns:
        The file.

    Raises:
        ResourceError: it cannot be written.
        DataError: the format cannot hold it.
    """
    make_folder(folder)
    *others, usual = formats.writing(label_map.geometry.format)
    for spec, one in others:
        path = folder / f"{case}{spec.writes}"
        try:
            one.write(path, label_map)
        except UnusableError as error:
            log.warning("case %s: %s %s; it is written as %s instead", case, path.name, error, usual[0].name)
        else:
            return path
    spec, one = usual
    path = folder / f"{case}{spec.writes}"
    with _naming(path, case):
        one.write(path, label_map)
    return path


@contextmanager
def _naming(path: Path, case: str) -> Iterator[None]:
    try:
        yield
    except UnusableError as error:
        raise DataError(f"case {case}: {path} {error}", hint=error.hint) from None
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror or error}") from error


def _strangers(data: np.ndarray, labels: int, stored: Sequence[int]) -> np.ndarray:
    """Where values are not ids of labels."""
    return ~np.isin(data, stored) if stored else (data < 0) | (data >= labels)


def _counted(strangers: np.ndarray) -> str:
    ids, counts = np.unique(strangers, return_counts=True)
    shown = [f"{int(i)} ({n} voxel{'s' if n > 1 else ''})" for i, n in zip(ids[:5], counts, strict=False)]
    return listed(shown, of=len(ids))
