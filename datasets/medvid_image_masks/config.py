"""Options of image data sets, and of the generated tissue that stands in for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from medvid.config.images import ImageDatasetOptions, Size2D
from medvid.config.options import Options


class ImageMasksOptions(ImageDatasetOptions):
    """A user's own images with masks."""

    name: Literal["image_masks"] = "image_masks"


class GlaSOptions(ImageDatasetOptions):
    """GlaS as the MedT authors lay it out, or as the challenge's archive is when unpacked.

    The archive holds images and maps of gland instances side by side (train_1.bmp, train_1_anno.bmp); its 85 images
    called train are trained on, and the 80 called testA and testB are the test split.
    """

    name: Literal["glas"] = "glas"
    labels: tuple[str, ...] = ("background", "gland")

    @model_validator(mode="before")
    @classmethod
    def _recognise_archive(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("root") and (Path(values["root"]) / "train_1_anno.bmp").is_file():
            return {"images": ".", "masks": ".", "mask_suffix": "_anno", "mask_values": "nonzero", **values}
        return values


class MoNuSegOptions(ImageDatasetOptions):
    """MoNuSeg as the MedT authors lay it out, at the size they train and score at."""

    name: Literal["monuseg"] = "monuseg"
    labels: tuple[str, ...] = ("background", "nucleus")
    size: Size2D | None = (512, 512)


class TissueOptions(Options):
    """Generated tissue, in MedT's layout."""

    train: PositiveInt = 48
    """Number of training images."""
    validation: NonNegativeInt = 0
    """Number of validation images; their folder is only there if there are any."""
    test: NonNegativeInt = 12
    """Number of test images, likewise."""
    size: Size2D = (128, 160)
    """Height and width of each image."""
    seed: Annotated[int, Field(ge=0)] = 0
