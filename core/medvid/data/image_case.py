"""A case of an image data set."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from medvid.config.images import ImageDatasetOptions
from medvid.data.grid import Grid
from medvid.data.image_files import read_image, read_mask, scale, write_mask
from medvid.data.image_index import ImageFiles
from medvid.errors import DataError
from medvid.plugin.specs import Layout


class ImageCase:
    """A case of an image data set, see `medvid.data.dataset.SegmentationCase`.

    Args:
        files: its files.
        options: how they are read.
    """

    def __init__(self, files: ImageFiles, options: ImageDatasetOptions) -> None:
        self._files = files
        self._options = options

    @property
    def id(self) -> str:
        return self._files.id

    @property
    def layout(self) -> Layout:
        return "image"

    @cached_property
    def grid(self) -> Grid:
        """Pixels of the file to those of the resized image: areas that cover one another, as in torchvision."""
        height, width = self.native_input().shape[:2]
        prepared = self._options.size or (height, width)
        scales = (prepared[0] / height, prepared[1] / width)
        return Grid(
            native_shape=(height, width),
            native_spacing=(1.0, 1.0),
            prepared_shape=prepared,
            prepared_spacing=(1 / scales[0], 1 / scales[1]),
            axes=(0, 1),
            scale=scales,
            offset=(scales[0] / 2 - 0.5, scales[1] / 2 - 0.5),
        )

    def input(self) -> Tensor:
        try:
            scaled = scale(self.native_input(), self._options.channels, self._options.window)
        except ValueError as error:
            raise DataError(
                f"case {self.id}: {self._files.image} {error}",
                hint="set dataset.window to the values of black and white",
            ) from None
        image = torch.from_numpy(np.ascontiguousarray(scaled))
        if self._options.size is None:
            return image
        resized: Tensor = transforms.resize(image, list(self._options.size), antialias=True)
        return resized

    def native_input(self) -> np.ndarray:
        return self._image

    def native_truth(self) -> np.ndarray:
        if self._files.mask is None:
            raise DataError(f"case {self.id} has no mask")
        labels = len(self._options.labels)
        truth = read_mask(self._files.mask, self.id, labels, self._options.mask_threshold)
        if truth.shape != self._image.shape[:2]:
            height, width = self._image.shape[:2]
            raise DataError(
                f"case {self.id}: {self._files.image.name} has {width} x {height} pixels, its mask "
                f"{self._files.mask.name} {truth.shape[1]} x {truth.shape[0]}",
                hint="a mask has to be of the size of its image",
            )
        return truth

    def prepared_truth(self) -> np.ndarray:
        truth = self.native_truth()
        if self._options.size is None:
            return truth
        nearest = InterpolationMode.NEAREST_EXACT
        resized: Tensor = transforms.resize(torch.from_numpy(truth)[None], list(self._options.size), nearest)
        return resized[0].numpy()

    def write(self, labels: np.ndarray, folder: Path) -> Path:
        path = folder / f"{self.id}_mask.png"
        write_mask(path, labels)
        return path

    @cached_property
    def _image(self) -> np.ndarray:
        return read_image(self._files.image, self.id)
