"""A series of slices, of which only those are read that are asked for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from nibabel.orientations import apply_orientation, io_orientation
from torch import Tensor
from torch.nn import functional

from medvid.data.framed import FramedCase, filled
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import UnusableError
from medvid.errors import DataError
from medvid_rsna.config import RSNAHemorrhageOptions
from medvid_rsna.slices import Slice


class SliceSeries(FramedCase):
    """A series, see `medvid.data.framed.FramedCase`.

    Args:
        id: its name.
        slices: in order.
        options: say how slices are prepared.
        formats: read the files.
        target: labels (slices, L); None for a new series.
    """

    def __init__(
        self,
        id: str,
        slices: Sequence[Slice],
        options: RSNAHemorrhageOptions,
        formats: Formats,
        target: Tensor | None = None,
    ) -> None:
        self.id, self.target, self.patient = id, target, slices[0].patient
        self.sources = tuple(one.path for one in slices)
        self._slices, self._options, self._formats = slices, options, formats
        self._read = lru_cache(options.size[2])(self._read_slice)  # windows overlap

    @property
    def places(self) -> Mapping[str, Sequence[float]]:
        return {
            "slice": range(len(self._slices)),
            "position_mm": [round(one.position, 3) for one in self._slices],
        }

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        """Slices (C, X, Y, N) of values within 0 and 1."""
        numbers = filled(range(start, stop, step), len(self._slices))
        return torch.stack([self._read(number) for number in numbers], dim=-1)

    def _read_slice(self, number: int) -> Tensor:
        size = self._options.size[:2]
        pixels = torch.from_numpy(read_units(self._slices[number].path, self.id, self._formats))[None, None]
        rows, columns = (min(old, new) for old, new in zip(pixels.shape[2:], size, strict=True))
        averaged = functional.adaptive_avg_pool2d(pixels, (rows, columns))  # where it shrinks
        resized = functional.interpolate(averaged, size, mode="bilinear", align_corners=False)[0, 0]
        channels = [((resized - low) / (high - low)).clamp(0, 1) for low, high in self._options.limits]
        return torch.stack(channels)


def read_units(path: Path, case: str, formats: Formats) -> np.ndarray:
    """The HU of a slice (X, Y), its axes along R and A as nearly as they lie, float32.

    Raises:
        DataError: it cannot be read, naming case and file.
    """
    try:
        volume = formats.of(path).read(path)
    except UnusableError as error:
        raise DataError(f"case {case}: {path} {error}", hint=error.hint) from error
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error
    if volume.data.shape[2:] != (1,):
        raise DataError(f"case {case}: {path} is not a single slice of gray values", hint="leave it out")
    upright = apply_orientation(volume.data, io_orientation(volume.affine))
    return np.array(upright[..., 0], np.float32)
