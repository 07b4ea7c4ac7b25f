"""A case of an image data set."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from medvid.data.grid import Grid
from medvid.data.images.files import (
    Picture,
    foreign_profile,
    has_hidden_pixels,
    open_picture,
    pixels,
    scale,
    turn,
    turn_back,
)
from medvid.data.images.index import ImageFiles
from medvid.data.images.masks import Mask, read_mask, unite
from medvid.data.images.options import Colour, ImageDatasetOptions
from medvid.data.images.scale import TrainingSizes
from medvid.data.images.writing import write_mask, write_pages
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import Axes


@dataclass(frozen=True, slots=True)
class Findings:
    """What the files of a case contain.

    Args:
        remarks: what users have to know, with its extent, e.g. a number of pixels, or an empty text.
        labels: pixels per label id.
        palette: colour of each palette index, of an indexed mask.
        brightest: the largest value of the image as a share of what its type can hold.
    """

    remarks: Mapping[str, str]
    labels: np.ndarray
    palette: Mapping[int, Colour]
    brightest: float


class ImageCase:
    """A case of an image data set, see `medvid.data.dataset.SegmentationCase`.

    Args:
        files: its files.
        options: how they are read.
        sizes: of the training images, whose scale is kept; None resizes to the size in the options.
        checked: whether its masks were checked before and are unchanged.
    """

    def __init__(
        self,
        files: ImageFiles,
        options: ImageDatasetOptions,
        sizes: TrainingSizes | None = None,
        *,
        checked: bool = False,
    ) -> None:
        self._files = files
        self._options = options
        self._sizes = sizes
        self._checked = checked

    @property
    def id(self) -> str:
        return self._files.id

    @property
    def sources(self) -> tuple[Path, ...]:
        return (self._files.image,)

    @property
    def axes(self) -> Axes:
        return "image"

    @cached_property
    def grid(self) -> Grid:
        """Maps pixels of the file to pixels of the resized image, by area, as in torchvision."""
        height, width = self.native_input().shape[:2]
        prepared = self._options.size or (height, width)
        if self._options.size and self._sizes:
            prepared = self._sizes.prepared((height, width), self._options.size)
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
        resized: Tensor = transforms.resize(image, list(self.grid.prepared_shape), antialias=True)
        return resized

    def native_input(self) -> np.ndarray:
        return self._pixels

    @property
    def display_window(self) -> tuple[float, float] | None:
        return self._options.window

    def native_truth(self) -> np.ndarray:
        return self._truth(self._masks())

    def prepared_truth(self) -> np.ndarray:
        truth = self.native_truth()
        if self._options.size is None:
            return truth
        nearest = InterpolationMode.NEAREST_EXACT
        resized: Tensor = transforms.resize(torch.from_numpy(truth)[None], list(self.grid.prepared_shape), nearest)
        return resized[0].numpy()

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        path = folder / f"{self.id}_mask.png"
        write_mask(path, labels, len(self._options.labels))
        return (path,)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        path = folder / f"{self.id}.tif"
        write_pages(path, probabilities)
        return (path,)

    def inspect(self) -> Findings:
        """Read all of its files to their end, and report what is odd about them."""
        prepared, masks = self.input(), self._masks()
        truth, remarks = self._truth(masks), {}
        if self._picture.orientation != 1:
            remarks["turned upright by its EXIF orientation, as label maps will be"] = ""
            if any(mask.orientation != self._picture.orientation for mask in masks):
                remarks["only one of image and mask has an EXIF orientation; they are matched by size"] = ""
        if has_hidden_pixels(self._picture):
            remarks["transparent pixels get the colour that is stored for them"] = ""
        if profile := foreign_profile(self._picture):
            remarks[f"values are taken as stored, not converted from the colour profile {profile!r}"] = ""
        if prepared.min() == prepared.max():
            remarks["the image has only one colour"] = ""
        if len(masks) > 1:
            remarks["several masks are merged"] = f"{len(masks)}"
        if edges := sum(mask.edges for mask in masks):
            threshold = self._options.mask_threshold
            remarks[f"pixels of masks between black and white are foreground above {threshold}"] = f"{edges} px"
        palette = {index: colour for mask in masks for index, colour in mask.palette.items()}
        limit = np.iinfo(self._pixels.dtype).max if self._pixels.dtype.kind == "u" else np.inf
        known = truth[truth != UNKNOWN]
        if unknown := truth.size - known.size:
            remarks["pixels of dataset.ignore, which nobody annotated, count in nothing"] = (
                f"{unknown / truth.size:.0%}" if known.size else "all of them"
            )
        counts = np.bincount(known, minlength=len(self._options.labels))
        return Findings(remarks, counts, palette, float(self._pixels.max() / limit))

    def hash_pixels(self) -> str:
        """A hash of the upright image, 32 hex digits: the same for any lossless format, gray or colour."""
        colours = self._pixels if self._pixels.ndim == 3 else np.repeat(self._pixels[..., None], 3, axis=2)
        digest = hashlib.blake2b(f"{colours.shape} {colours.dtype}".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(colours).data)
        return digest.hexdigest()

    def _masks(self) -> list[Mask]:
        if not self._files.masks:
            raise DataError(f"case {self.id} has no mask")
        if len(self._files.masks) > 1 and self._options.mask_values not in {"binary", "nonzero"}:
            names = ", ".join(path.name for path in self._files.masks)
            raise DataError(
                f"case {self.id} has several masks: {names}",
                hint="merge them; or set dataset.mask_values: binary, if each is a part of the foreground",
            )
        return [read_mask(path, self.id, self._options, checked=self._checked) for path in self._files.masks]

    def _truth(self, masks: list[Mask]) -> np.ndarray:
        fitting = [self._fitted(mask, path) for mask, path in zip(masks, self._files.masks, strict=True)]
        return np.ascontiguousarray(unite(fitting))

    def _fitted(self, mask: Mask, path: Path) -> np.ndarray:
        """The labels of a mask on the pixels of the upright image.

        If only one of the two has an EXIF orientation, the mask fits either the upright image or the stored one.
        """
        shape, orientation = self._pixels.shape[:2], self._picture.orientation
        ways = [mask.labels]
        if mask.orientation != orientation:
            ways.append(turn(turn_back(mask.labels, mask.orientation), orientation))
        fitting = [labels for labels in ways if labels.shape == shape]
        if not fitting:
            raise DataError(
                f"case {self.id}: {self._files.image.name} has {shape[1]} x {shape[0]} pixels, its mask {path.name} "
                f"{mask.labels.shape[1]} x {mask.labels.shape[0]}",
                hint="a mask needs the size of its image",
            )
        if len(fitting) > 1 and (fitting[0] != fitting[1]).any():
            raise DataError(
                f"case {self.id}: {self._files.image.name} has the EXIF orientation {orientation}, its mask "
                f"{path.name} {mask.orientation}; it is ambiguous whether the mask fits the stored or the shown image",
                hint="change copies of the images: exiftool -Orientation= FILES if masks fit the stored pixels, "
                "ImageMagick's mogrify -auto-orient FILES if they fit the image as shown",
            )
        return fitting[0]

    @cached_property
    def _picture(self) -> Picture:
        return open_picture(self._files.image, self.id)

    @cached_property
    def _pixels(self) -> np.ndarray:
        return pixels(self._picture, self._files.image, self.id)
