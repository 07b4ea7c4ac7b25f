"""The contract of a format: what the files of volumes hold, and how a label map is written beside them."""

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from nibabel.affines import voxel_sizes

from medvid.config.options import FormatOptions

MAX_VOXELS = 2**31
"""Larger volumes are taken for a damaged header; 1024 x 1024 x 2048 still passes."""


class UnusableError(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its path: ``UnusableError("is empty")``.

    Args:
        reason: the end of the sentence.
        hint: what to do.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file's content, unpacked if it is gzip; fewer if there are not so many, or it is damaged.

    Raises:
        OSError: it cannot be opened or read.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return file.read(count)
        try:
            with gzip.open(file) as content:
                return content.read(count)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return b""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where the voxels of a file lie. A label map is written on the same grid with it, by the same format or another.

    Args:
        shape: number of voxels on the file's three axes (X, Y, Z), in the order of `Volume.data`.
        affine: (4, 4), voxel indices to RAS+ millimetres. Its axes may be sheared, as of a CT with a tilted gantry.
        millimetres: per unit of the file's lengths; None if the file does not give its unit, and mm are assumed.
        format: name of the format that has read the header, in which predictions are written too.
        header: the file's own words, as JSON values, for that format alone: what it needs to write them unchanged.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    millimetres: float | None = 1.0
    format: str = ""
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size on each axis, in mm."""
        return tuple(voxel_sizes(self.affine).tolist())

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values, exactly."""
        return {
            "shape": list(self.shape),
            "affine": self.affine.tolist(),
            "millimetres": self.millimetres,
            "format": self.format,
            "header": dict(self.header),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the result of `as_json`."""
        arrays = {"shape": tuple(values["shape"]), "affine": np.array(values["affine"], dtype=np.float64)}
        return cls(**{**values, **arrays})


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """The content of a file: an image, a label map, or a stack of named masks.

    Args:
        data: voxels in the file's axis order and units, (X, Y, Z), or (X, Y, Z, N) with N channels or masks; integers
            or floats, all finite. Axes of time and the like that cannot be channels are refused.
        geometry: where they lie; its shape is (X, Y, Z).
        masks: names of N structures if `data` are their masks, which may overlap: (X, Y, Z, N) of 0 and 1, or fractions
            in between; or, where none overlap, (X, Y, Z) of the number of the structure, from 1, or 0. Empty for an
            image or a label map.
        has: names of the labels that a file of named structures says anything of, once it is a label map; None: all.
        rounding: largest error of values due to a scaling from stored integers.
        notes: what is odd about the file, or assumed, but not an error; ends of sentences that begin with its path.
    """

    data: np.ndarray
    geometry: Geometry
    masks: tuple[str, ...] = ()
    has: tuple[str, ...] | None = None
    rounding: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), voxel indices to RAS+ millimetres."""
        return self.geometry.affine

    @property
    def channels_last(self) -> np.ndarray:
        """The voxels as (X, Y, Z, C)."""
        return self.data if self.data.ndim == 4 else self.data[..., None]

    def at(self, geometry: Geometry) -> Self:
        """The same voxels at another place."""
        return replace(self, geometry=geometry)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image of two axes.

    Args:
        data: (H, W), the higher the brighter, or (H, W, 3) uint8 red, green and blue.
        white: the value that is white, with 0 for black; None if the file does not say.
    """

    data: np.ndarray
    white: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """A prediction to be written.

    Args:
        labels: (X, Y, Z) uint8 label ids, on the grid of the image.
        geometry: of the image.
        names: of the labels by id, the background first; empty if unknown.
        sources: the image that it is a prediction of: one path, or one for each channel.
    """

    labels: np.ndarray
    geometry: Geometry
    names: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()


class Format(ABC):
    """Reads, and perhaps writes, one kind of file of volumes. See `medvid.plugin.FormatSpec` for names of files.

    A *path* is a file; or a folder or .zip file of files that are one volume, where the spec says ``folders``. All
    methods raise `UnusableError` for what is wrong with a file, or OSError, and nothing else whatever bytes a file has:
    the caller names file and case. An instance is pickled into other processes, so it holds no open file. Libraries
    are imported on use, so that a missing one is an error of its own files only.

    Args:
        options: validated; all of them need defaults, as every enabled format is built for every data set of volumes.
    """

    def __init__(self, options: FormatOptions) -> None:
        self.options = options

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether the content of a path is of this format, by its first bytes alone: not by its name.

        Asked of files of any kind, and of folders where the spec says ``folders``.
        """

    @abstractmethod
    def geometry(self, path: Path) -> Geometry:
        """Where the voxels lie, from the header alone; equal to that of `read`.

        Raises:
            UnusableError: as `read`, for problems visible in the header.
        """

    @abstractmethod
    def read(self, path: Path) -> Volume:
        """Read a volume to its end, so that damage anywhere in it is found.

        Raises:
            UnusableError: it is empty, truncated, damaged or of another format; it does not hold one volume of numbers
                with three axes in space, or voxels that are not finite; or where they lie cannot be told.
        """

    def read_on(self, path: Path, geometry: Geometry) -> Volume:
        """Read labels of an image; for formats whose files have no grid of their own, or only a part of the image's.

        Args:
            path: of the labels.
            geometry: of the image. Default: it is ignored, and the volume read on its own grid.

        Raises:
            UnusableError: as `read`, or the labels do not lie on voxels of the image.
        """
        del geometry
        return self.read(path)

    def read_values(self, path: Path) -> Volume:
        """Read a volume in which voxels may be NaN, which is unknown, but not infinite. Default: as `read`.

        Raises:
            UnusableError: as `read`.
        """
        return self.read(path)

    def read_picture(self, path: Path) -> Picture:
        """Read a file that is one image; called only if the spec says how such files are named.

        Raises:
            UnusableError: as `read`; or it holds several images.
        """
        raise NotImplementedError

    def files(self, path: Path) -> tuple[Path, ...]:
        """All files that `read` reads; a prepared case is made again once one of them changes. Default: the path."""
        return (path,)

    def write(self, path: Path, label_map: LabelMap) -> None:
        """Write a label map, complete or not at all; called only if the spec says how such files are named.

        Args:
            path: ends as the spec's ``writes``; its folder exists.
            label_map: what is written.

        Raises:
            medvid.errors.ResourceError: it cannot be written.
            UnusableError: the format cannot hold it.
        """
        raise NotImplementedError
