"""Stacks of planes in a TIFF file, as microscopes and ImageJ write them."""

import io
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError, Volume
from medvid.data.volumes.formats.geometry import UNITS
from medvid.data.volumes.formats.stored import AGAIN, Stored, check_finite
from medvid.files import write_bytes

if TYPE_CHECKING:
    import tifffile

NAME = "tiff"

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SLICES, _CHANNELS = "ZQI", "CS"
_NO_PLACE = "does not say where it lies in a body (TIFF): its axes are taken for right, front and up, from 0"
_NO_SIZE = "gives no voxel size (neither ImageJ's nor OME's); 1 mm is assumed"

Spacing = tuple[float, float, float]


class Tiff(Format):
    """TIFF with a page per slice; voxel sizes as ImageJ or OME write them."""

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in _MAGIC

    def geometry(self, path: Path) -> Geometry:
        with _opened(path) as file:
            return _geometry(file)[0]

    def read(self, path: Path) -> Volume:
        with _opened(path) as file:
            geometry, notes = _geometry(file)
            series = file.series[0]
            data = series.asarray()
            ordered = np.transpose(data, _order(series.axes, data.shape)).reshape(*geometry.shape, -1)
        check_finite(ordered)
        return Volume(ordered if ordered.shape[3] > 1 else ordered[..., 0], geometry, notes=notes)

    def write(self, path: Path, label_map: LabelMap) -> None:
        import tifffile

        affine = label_map.geometry.affine
        if not np.array_equal(affine, np.diag(affine.diagonal())) or affine.diagonal().min() <= 0:
            raise UnusableError("cannot be a TIFF file, which does not hold a place in a body", "choose another format")
        x, y, z = affine.diagonal()[:3].tolist()
        content = io.BytesIO()
        about = {"axes": "ZYX", "spacing": z, "unit": "mm"}
        planes = np.ascontiguousarray(label_map.labels.astype(np.uint8).transpose(2, 1, 0))
        tifffile.imwrite(content, planes, imagej=True, resolution=(1 / x, 1 / y), metadata=about)
        write_bytes(path, content.getvalue())


@contextmanager
def _opened(path: Path) -> Iterator["tifffile.TiffFile"]:
    import tifffile

    try:
        with _errors_raised(tifffile.logger()), tifffile.TiffFile(path) as file:
            yield file
    except (UnusableError, OSError):
        raise
    except Exception as error:  # of tifffile, whatever the bytes
        is_packed = "imagecodecs" in str(error)
        raise UnusableError(
            f"cannot be read as TIFF ({error})", "pip install imagecodecs" if is_packed else AGAIN
        ) from error


@contextmanager
def _errors_raised(logger: logging.Logger) -> Iterator[None]:
    """Make errors of what tifffile only logs: of a truncated file it reads the pages that are left."""
    thread, found = threading.get_ident(), []

    def is_of_others(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        found.extend([record.getMessage()] if record.levelno >= logging.ERROR else [])
        return False

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)
    if found:
        raise UnusableError(f"is damaged or truncated ({found[0]})", AGAIN)


def _geometry(file: "tifffile.TiffFile") -> tuple[Geometry, tuple[str, ...]]:
    if len(file.series) != 1:
        raise UnusableError(f"holds {len(file.series)} series of images, not one volume", "split it into one file each")
    series = file.series[0]
    if series.dtype is None or series.dtype.kind not in "iuf":
        raise UnusableError(f"stores {series.dtype}; one integer or float per voxel is needed")
    sizes = [series.shape[axis] for axis in _order(series.axes, series.shape)]
    Stored(series.dtype, tuple(sizes))
    known = dict(zip(series.axes, series.shape, strict=True))
    shape = (known["X"], known["Y"], next((known[axis] for axis in _SLICES if axis in known), 1))
    spacing = _ome(file) if file.is_ome else _imagej(file) if file.is_imagej else None
    notes = [_NO_PLACE] if spacing else [_NO_PLACE, _NO_SIZE]
    affine = np.diag([*(spacing or (1.0, 1.0, 1.0)), 1.0])
    return Geometry(shape, affine, 1.0 if spacing else None, NAME), tuple(notes)


def _order(axes: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a series as X, Y, Z and channels; those of length 1 may be any."""
    long = [axis for axis, length in zip(axes, shape, strict=True) if length > 1 or axis in "XY"]
    slices, channels = ([axis for axis in long if axis in group] for group in (_SLICES, _CHANNELS))
    if not {"X", "Y"} <= {*long} or len(slices) > 1 or len(channels) > 1 or len(long) > 2 + len(slices) + len(channels):
        sizes = ", ".join(f"{axis} {length}" for axis, length in zip(axes, shape, strict=True))
        raise UnusableError(
            f"has the axes {sizes}; slices (Z), and one more axis of channels, can be read",
            "split it, e.g. into one file for each time (T)",
        )
    first = ["X", "Y", *slices, *channels]
    rest = [axis for axis in range(len(axes)) if axes[axis] not in first]
    return (*(axes.index(axis) for axis in first), *rest)


def _imagej(file: "tifffile.TiffFile") -> Spacing | None:
    about: Mapping[str, Any] = file.imagej_metadata or {}
    tags = file.pages[0].tags
    unit = UNITS.get(str(about.get("unit", "")).encode().decode("unicode_escape"))
    try:
        x, y = (tags[name].value[1] / tags[name].value[0] for name in ("XResolution", "YResolution"))
        return _positive([size * (unit or 0) for size in (x, y, float(about["spacing"]))])
    except (KeyError, ZeroDivisionError, ValueError):
        return None


def _ome(file: "tifffile.TiffFile") -> Spacing | None:
    import tifffile

    try:
        about = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]["Pixels"]
        sizes = [float(about[f"PhysicalSize{axis}"]) for axis in "XYZ"]
        units = [UNITS[about.get(f"PhysicalSize{axis}Unit", "um")] for axis in "XYZ"]
    except (KeyError, TypeError, ValueError):
        return None
    return _positive([size * unit for size, unit in zip(sizes, units, strict=True)])


def _positive(sizes: Sequence[float]) -> Spacing | None:
    """Voxel sizes in mm, None where one of them cannot be right."""
    x, y, z = sizes
    return (x, y, z) if min(sizes) > 0 and np.isfinite(sizes).all() else None
