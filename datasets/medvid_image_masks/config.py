"""Options of image data sets, and of the generated tissue that is their demo data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from medvid.config.options import Options
from medvid.data.images.options import ImageDatasetOptions, Size2D


class ImageMasksOptions(ImageDatasetOptions):
    """A user's own images with masks."""

    name: Literal["image_masks"] = "image_masks"


class GlaSOptions(ImageDatasetOptions):
    """GlaS in the MedT authors' layout, or as the challenge's archive unpacks.

    The archive holds images and maps of gland instances side by side (train_1.bmp, train_1_anno.bmp); its 85 images
    named train are for training, and the 80 named testA and testB are the test split.
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
    """MoNuSeg in the MedT authors' layout, at their size for training and scoring."""

    name: Literal["monuseg"] = "monuseg"
    labels: tuple[str, ...] = ("background", "nucleus")
    size: Size2D | None = (512, 512)


class TissueOptions(Options):
    """Generated tissue, in MedT's layout."""

    train: PositiveInt = 48
    """Number of training images."""
    validation: NonNegativeInt = 0
    """Number of validation images; their folder exists only if there are any."""
    test: NonNegativeInt = 12
    """Number of test images; the same for their folder."""
    size: Size2D = (128, 160)
    """Height and width of each image."""
    seed: NonNegativeInt = 0


_PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".gif")
_IMAGES, _MASKS = ("img", "images", "image"), ("labelcol", "masks", "mask", "labels", "label")


def recognise(folder: Path) -> dict[str, Any] | None:
    """The options for a folder, or its folder of training data, that has one of images and one of masks."""
    for place in (folder, folder / "train", folder / "training"):
        images = next((place / name for name in _IMAGES if (place / name).is_dir()), None)
        masks = next((place / name for name in _MASKS if (place / name).is_dir()), None)
        if images and masks and any(path.suffix.lower() in _PICTURES for path in images.rglob("*")):
            return {}
    return None
