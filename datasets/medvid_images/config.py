"""Options of images with answers of their own, and of the generated ones that are their demo data."""

from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import Options
from medvid.data.images.options import Size2D
from medvid.data.tables.folders import holds
from medvid.data.tables.options import AnsweredOptions
from medvid.data.transforms.options import ImageTransform
from medvid.plugin.info import InputInfo

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of red, green and blue in [0, 1]."""


class WholeImageOptions(AnsweredOptions):
    """Base of the options of data sets of images with a class, findings or numbers each."""

    channels: Literal[1, 3] = 3
    """3: red, green and blue, with gray images repeated; 1: gray, with colours weighted by luminance."""
    window: tuple[float, float] | None = None
    """Values that become 0 and 1; default: 0 and the largest of the file's type, 255 or 65535, or of the bits that
    DICOM stores. Values outside are clipped."""
    size: Size2D = (224, 224)
    """Height and width of the model's input."""
    fit: Literal["stretch", "crop"] = "stretch"
    """How an image gets this size: by resizing both sides, or by resizing until it covers it, of which then the centre
    is taken."""
    mean: tuple[float, ...] | None = None
    """Subtracted from each channel in [0, 1]; default: ImageNet's of three channels, 0.5 of one."""
    std: tuple[PositiveFloat, ...] | None = None
    """Divisor of each channel after that; default: likewise, 0.25 of one."""
    augment: tuple[ImageTransform, ...] = ()
    """Random changes of training images, in this order, before they are normalised."""

    @model_validator(mode="after")
    def _normalisation_fits(self) -> "WholeImageOptions":
        for name, given in (("mean", self.mean), ("std", self.std)):
            if given is not None and len(given) != self.channels:
                raise ValueError(f"{name} has {len(given)} numbers for {self.channels} channels; give one for each")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel."""
        mean, std = IMAGENET if self.channels == 3 else ((0.5,), (0.25,))
        return self.mean or mean, self.std or std

    def input_info(self) -> InputInfo:
        """Images as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo("image", self.channels, self.size)


class ImagesOptions(WholeImageOptions):
    """A user's own images, with a class, findings or numbers each.

    PNG, JPEG, TIFF, BMP, GIF or DICOM files in a folder per class, or named by a CSV file with a line per image.
    """

    name: Literal["images"] = "images"


_FILES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".gif")


def recognise(folder: Path) -> dict[str, Any] | None:
    """The options for a folder with a table of images, or with a folder of images per class."""
    return {} if holds(folder, _FILES) else None


class CellsOptions(Options):
    """Generated pictures of cells, with a table of what is in them."""

    patients: PositiveInt = 60
    """Number of patients; each has two pictures."""
    size: Size2D = (40, 48)
    """Height and width of each picture."""
    seed: NonNegativeInt = 0
