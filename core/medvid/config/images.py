"""Options that every data set of segmented images has."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from medvid.config.options import DatasetOptions, Options
from medvid.config.volumes import Probability, SplitOptions
from medvid.plugin.info import InputInfo, TargetInfo

Size2D = tuple[PositiveInt, PositiveInt]
Byte = Annotated[int, Field(ge=0, le=255)]


class ImageAugmentOptions(Options):
    """Random changes of training images, named as torchvision names them; the defaults are those of MedT."""

    horizontal_flip: Probability = 0.5
    """Probability of mirroring left and right."""
    vertical_flip: Probability = 0.0
    """Probability of mirroring top and bottom."""
    rotate90: Probability = 0.0
    """Probability of turning by 90, 180 or 270 degrees."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by an angle drawn uniformly from [-rotation, rotation] degrees; what comes in from outside is black."""
    brightness: NonNegativeFloat = 0.0
    """Multiply all values by a factor drawn from [1 - brightness, 1 + brightness]; likewise the next two."""
    contrast: NonNegativeFloat = 0.0
    saturation: NonNegativeFloat = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn the hue by a share of the colour circle drawn from [-hue, hue]."""


class ImageDatasetOptions(DatasetOptions):
    """Base of the options of data sets of segmented images.

    Below `root`, or below its folders train (or training), val (valid, validation) and test (testing), lie a folder of
    images and one of masks; or these hold such folders (images/train, masks/train).
    """

    images: str | None = None
    """Folder of the images; default: img, images or image, whichever there is."""
    masks: str | None = None
    """Folder of the masks; default: labelcol, masks, mask, labels or label. May be that of the images."""
    mask_suffix: str = ""
    """What the name of a mask has beyond that of its image: `_mask` if a.tif belongs to a_mask.png."""
    mask_values: Literal["binary", "nonzero", "indexed", "colours"] = "binary"
    """binary: white is foreground, black is background. nonzero: all that is not black is foreground, such as numbered
    instances. indexed: gray values or palette indices are label ids. colours: as `mask_colours` says."""
    threshold: Annotated[int, Field(ge=0, lt=255)] | None = None
    """Brightest value that is background in binary masks, out of 255. By default 127, but then nothing may lie between
    black and white except along edges."""
    mask_colours: dict[str, tuple[Byte, Byte, Byte]] | None = None
    """Red, green and blue (0 to 255) of each of the `labels` in masks of colours: {background: [0, 0, 0], ...}."""
    labels: tuple[str, ...] = ("background", "foreground")
    """Names of the labels by id, the background first."""
    channels: Literal[1, 3] = 3
    """3: red, green and blue, a gray image repeated; 1: gray, colours weighted by their luminance."""
    window: tuple[float, float] | None = None
    """Values that become 0 and 1; without, 0 and the largest of the file's type: 255, 65535. What lies outside is
    clipped."""
    size: Size2D | None = (128, 128)
    """Height and width that images are resized to; null leaves them as they are, which needs a `crop`."""
    crop: Size2D | None = None
    """Train on random crops of this height and width; the whole image is then inferred in overlapping windows of it."""
    augment: ImageAugmentOptions = ImageAugmentOptions()
    split: SplitOptions | None = None
    """Names the cases of each split; default: the folders train, val and test, else by `validation_fraction`."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the cases that are held out, at least one, where neither folders nor `split` say which; 0: none."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which cases those are."""

    @model_validator(mode="after")
    def _labels_fit(self) -> "ImageDatasetOptions":
        if not 2 <= len(self.labels) <= 256 or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels: 2 to 256 different names are needed, the background first; got {self.labels}")
        if self.mask_values in {"binary", "nonzero"} and len(self.labels) != 2:
            raise ValueError(
                f"mask_values is {self.mask_values}, but there are {len(self.labels)} labels; set mask_values: indexed "
                "or colours"
            )
        return self

    @model_validator(mode="after")
    def _mask_options_fit(self) -> "ImageDatasetOptions":
        if (self.mask_values == "colours") != (self.mask_colours is not None):
            raise ValueError("mask_values: colours and mask_colours belong together, but only one of them is given")
        if self.mask_colours is not None:
            if set(self.mask_colours) != set(self.labels):
                raise ValueError(f"mask_colours has to give each of the labels a colour: {', '.join(self.labels)}")
            if len(set(self.mask_colours.values())) < len(self.mask_colours):
                raise ValueError("mask_colours has two labels of the same colour")
        if self.threshold is not None and self.mask_values != "binary":
            raise ValueError(f"threshold is for binary masks, but mask_values is {self.mask_values}")
        return self

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
        if self.augment.rotate90 and self.input_size[0] != self.input_size[1]:
            raise ValueError(f"augment.rotate90 needs square inputs, not {list(self.input_size)}; set it to 0")
        return self

    @property
    def input_size(self) -> Size2D:
        """Height and width of what the model is trained on."""
        size = self.crop or self.size
        assert size is not None, "validated above"
        return size

    @property
    def mask_threshold(self) -> int:
        """The brightest value that is background in binary masks, out of 255."""
        return 127 if self.threshold is None else self.threshold

    def input_info(self) -> InputInfo:
        """Images as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(layout="image", channels=self.channels, size=self.input_size)

    def target_info(self) -> TargetInfo:
        """One label per pixel, see `DatasetOptions.target_info`."""
        return TargetInfo(task="segmentation", labels=self.labels)
