"""An image with an answer of its own."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from medvid.data.images.files import read_image, scale
from medvid.data.placement import Placement
from medvid.data.tables.facts import FileFacts
from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import Formats
from medvid.errors import DataError
from medvid_images.config import WholeImageOptions


class WholeImage:
    """An image that is read when it is used, see `medvid.data.dataset.ViewedCase`.

    Args:
        id: its name.
        path: its file.
        options: how it is read.
        formats: what reads files that are not the usual ones.
        target: its answer; None for a new file.
        patient: whose it is; empty where nothing says so.
    """

    def __init__(
        self,
        id: str,
        path: Path,
        options: WholeImageOptions,
        formats: Formats,
        target: Tensor | None = None,
        patient: str = "",
    ) -> None:
        self.id, self.target, self.patient = id, target, patient
        self.sources = (path,)
        self._options, self._formats = options, formats

    def input(self) -> Tensor:
        """The whole image, or its centre, normalised: (C, H, W)."""
        return normalise(self.unit(), self._options)

    def unit(self) -> Tensor:
        """The same before it is normalised, in [0, 1]."""
        return self._parts(1)[0]

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:  # noqa: ARG002 (an image has no time)
        """The image, or three parts along its longer side where it is cropped: (crops, C, H, W)."""
        return torch.stack([normalise(part, self._options) for part in self._parts(crops)])

    def thumbnails(self, count: int) -> np.ndarray:  # noqa: ARG002 (there is one)
        """The image at the model's size, (1, H, W, 3)."""
        shown = self.unit().expand(3, -1, -1)
        return (255 * shown).round().byte().permute(1, 2, 0)[None].numpy()

    def _parts(self, crops: int) -> list[Tensor]:
        height, width = self._options.size
        whole = torch.from_numpy(self._read())
        if self._options.fit == "stretch":
            return [_resized(whole, (height, width))] * crops
        factor = max(height / whole.shape[1], width / whole.shape[2])
        covering = (max(height, round(whole.shape[1] * factor)), max(width, round(whole.shape[2] * factor)))
        covered = _resized(whole, covering)
        down, right = covering[0] - height, covering[1] - width
        places = (0.5,) if crops == 1 else (0.0, 0.5, 1.0)
        return [
            covered[:, round(down * at) : round(down * at) + height, round(right * at) : round(right * at) + width]
            for at in places
        ]

    def facts(self) -> FileFacts:
        """What a plan has to know of the file."""
        array, white = self._stored()
        known = white or {"b": 1.0, "u": 255.0 if array.dtype.itemsize == 1 else 0.0}.get(array.dtype.kind, 0.0)
        low, high = np.percentile(array, (0.5, 99.5))
        channels = array.shape[2] if array.ndim == 3 else 1
        return FileFacts(array.shape[:2], channels, float(array.min()), float(low), float(high), known)

    def _read(self) -> np.ndarray:
        """The file in [0, 1], (C, H, W); not kept, as the case goes to other processes with its views."""
        array, white = self._stored()
        try:
            return scale(array, self._options.channels, self._options.window or ((0.0, white) if white else None))
        except ValueError as error:
            raise DataError(
                f"case {self.id}: {self.sources[0]} {error}", hint="set dataset.window to the values of black and white"
            ) from None

    def _stored(self) -> tuple[np.ndarray, float]:
        """The values of the file, (H, W) or (H, W, 3), and the one that is white where the file says so, else 0."""
        path = self.sources[0]
        if path.name.lower().endswith(self._formats.pictures):
            picture = reading.read_picture(self._formats, path, self.id)
            return picture.data, float(picture.white or 0)
        return read_image(path, self.id), 0.0


def normalise(image: Tensor, options: WholeImageOptions) -> Tensor:
    """An image (..., C, H, W) in [0, 1], less the mean and over the standard deviation of its channels."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in options.normalisation)
    return (image - mean) / std


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    resized: Tensor = functional.resize(image, list(size), antialias=True)
    return resized.clamp(0, 1)
