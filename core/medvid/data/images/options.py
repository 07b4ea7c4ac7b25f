"""Options that every data set of segmented images has."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import DatasetOptions
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import HorizontalFlipOptions, ImageTransform
from medvid.plugin.info import InputInfo, TargetInfo

Size2D = tuple[PositiveInt, PositiveInt]
Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]
Ignored = NonNegativeInt | Colour | None

WHITE = 240
"""From this value, out of 255, a pixel of a mask counts as white."""


class MaskOptions(DatasetOptions):
    """Base of the options of data sets whose label maps are images: what their values or colours mean."""

    mask_values: Literal["binary", "nonzero", "indexed", "colours"] = "binary"
    """binary: white is foreground, black is background. nonzero: everything but black is foreground, such as numbered
    instances. indexed: gray values or palette indices are label ids. colours: given by `mask_colours`."""
    threshold: Annotated[int, Field(ge=0, lt=255)] | None = None
    """Brightest value that is background in binary masks, out of 255. By default 127, but then values between black and
    white are refused except along edges."""
    mask_colours: dict[str, Colour] | None = None
    """Red, green and blue (0 to 255) of each of the `labels` in colour masks: {background: [0, 0, 0], ...}."""
    ignore: Ignored = None
    """What marks pixels that nobody annotated, such as 255 in masks of VOC and Cityscapes: the gray value or palette
    index as it is stored, or [red, green, blue]. They count in no loss and no figure; predictions have a label there
    too."""
    labels: tuple[str, ...] = ("background", "foreground")
    """Names of the labels by id, the background first."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        if not 2 <= len(self.labels) <= 256 or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels: 2 to 256 different names are needed, the background first; got {self.labels}")
        if self.mask_values in {"binary", "nonzero"} and len(self.labels) != 2:
            raise ValueError(
                f"mask_values is {self.mask_values}, but there are {len(self.labels)} labels; set mask_values: indexed "
                "or colours"
            )
        return self

    @model_validator(mode="after")
    def _mask_options_fit(self) -> Self:
        if (self.mask_values == "colours") != (self.mask_colours is not None):
            raise ValueError("mask_values: colours and mask_colours need each other, but only one of them is set")
        if self.mask_colours is not None:
            if set(self.mask_colours) != set(self.labels):
                raise ValueError(f"mask_colours needs a colour for each of the labels: {', '.join(self.labels)}")
            if len(set(self.mask_colours.values())) < len(self.mask_colours):
                raise ValueError("mask_colours gives two labels the same colour")
        if self.threshold is not None and self.mask_values != "binary":
            raise ValueError(f"threshold is for binary masks, but mask_values is {self.mask_values}")
        return self

    @field_validator("ignore")
    @classmethod
    def _gray_is_one_number(cls, value: Ignored) -> Ignored:
        return _as_gray(value) if isinstance(value, tuple) else value

    @model_validator(mode="after")
    def _ignore_fits(self) -> Self:
        if self.ignore is None:
            return self
        if self.mask_values == "indexed" and not isinstance(self.ignore, int):
            raise ValueError("ignore has to be a gray value or palette index where mask_values is indexed")
        taken = {
            "binary": self.ignore in {0, *range(WHITE, 256)},
            "nonzero": self.ignore == 0,
            "indexed": self.ignore in range(len(self.labels)),
            "colours": self.ignore in map(_as_gray, (self.mask_colours or {}).values()),
        }
        if taken[self.mask_values]:
            shown = self.ignore if isinstance(self.ignore, int) else [*self.ignore]
            raise ValueError(f"ignore is {shown}, which is one of the labels where mask_values is {self.mask_values}")
        return self

    @property
    def mask_threshold(self) -> int:
        """The brightest value that is background in binary masks, out of 255."""
        return 127 if self.threshold is None else self.threshold


class ImageDatasetOptions(MaskOptions):
    """Base of the options of data sets of segmented images.

    `root` has a folder of images and one of masks; or its folders train (or training), val (valid, validation) and test
    (testing) each have both; or the folders of images and masks have split folders (images/train, masks/train).
    """

    images: str | None = None
    """Folder of the images; default: img, images or image, whichever exists."""
    masks: str | None = None
    """Folder of the masks; default: labelcol, masks, mask, labels or label. Can be the folder of the images."""
    mask_suffix: str = ""
    """What the name of a mask adds to the name of its image: `_mask` if a.tif belongs to a_mask.png."""
    channels: Literal[1, 3] = 3
    """3: red, green and blue, with gray images repeated; 1: gray, with colours weighted by luminance."""
    window: tuple[float, float] | None = None
    """Values that become 0 and 1; default: 0 and the largest of the file's type, 255 or 65535. Values outside are
    clipped."""
    size: Size2D | None = (128, 128)
    """Height and width to which images are resized; null keeps their size, which needs a `crop`."""
    crop: Size2D | None = None
    """Train on random crops of this height and width; inference then uses overlapping windows of that size."""
    augment: tuple[ImageTransform, ...] = (HorizontalFlipOptions(),)
    """Random changes of training images and their masks, in this order, before the crop; the default is MedT's. With
    `spatial`, a crop that is larger comes first."""
    split: SplitOptions | None = None
    """The cases of each split; default for each: the folders train, val and test, else `validation_fraction`."""
    validation_fraction: FractionBelowOne = 0.2
    """Share of the cases to hold out, at least one, if neither folders nor `split` say which; 0: none."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which cases these are."""

    @model_validator(mode="after")
    def _window_fits(self) -> "ImageDatasetOptions":
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "ImageDatasetOptions":
        if self.size is None and self.crop is None:
            raise ValueError("size and crop are both null, but images of different sizes do not fit into one batch")
        if self.size and self.crop and (self.crop[0] > self.size[0] or self.crop[1] > self.size[1]):
            raise ValueError(f"crop {list(self.crop)} is larger than size {list(self.size)}")
        return self

    @property
    def input_size(self) -> Size2D:
        """Height and width of the model's input in training."""
        size = self.crop or self.size
        assert size is not None, "validated above"
        return size

    def input_info(self) -> InputInfo:
        """Images as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(axes="image", channels=self.channels, size=self.input_size)

    def target_info(self) -> TargetInfo:
        """One label per pixel, see `DatasetOptions.target_info`."""
        return TargetInfo("voxel", "class", self.labels, has_unknown=self.ignore is not None)


def _as_gray(colour: Colour) -> int | Colour:
    """The gray value of a colour that is one."""
    return colour[0] if len(set(colour)) == 1 else colour
