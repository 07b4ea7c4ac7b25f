"""Options that every data set of segmented videos has."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import DatasetOptions
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import HorizontalFlipOptions, VideoTransform
from medvid.data.videos.frame_files import FrameFileOptions
from medvid.plugin.info import InputInfo, TargetInfo

Size2D = tuple[PositiveInt, PositiveInt]
Color = tuple[float, float, float]
PositiveColor = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class MaskedVideoOptions(DatasetOptions):
    """Base of the options of data sets of segmented videos.

    A training clip is some neighbouring frames of a file, at least one of which has a label map; the loss is that of
    frames with a label map alone. A prediction is a label map of every frame.
    """

    frames: PositiveInt = 16
    """Neighbouring frames of the file in a clip. In evaluation, windows of as many slide along the video."""
    size: Size2D = (112, 112)
    """Height and width to which frames are resized, whatever their shape."""
    crop: Size2D | None = None
    """Train on random crops of this height and width; inference then uses overlapping windows of that size."""
    mean: Color = (0.45, 0.45, 0.45)
    """Subtracted from red, green and blue in [0, 1]."""
    std: PositiveColor = (0.225, 0.225, 0.225)
    """Divisor of red, green and blue after that."""
    augment: tuple[VideoTransform, ...] = (HorizontalFlipOptions(),)
    """Random changes of training clips and their label maps, in this order, the same for all frames, before the
    crop."""
    frame_files: FrameFileOptions = FrameFileOptions()
    """How folders of frames are read as videos, and the rate of what does not say it."""
    answers: Literal["nifti", "png"] = "nifti"
    """How predictions are written. nifti: one .nii.gz for each video, with the axes frame, row, column, and the seconds
    between frames as size of the first. png: a folder for each video, with a PNG for each frame, 00000.png the first.
    Also `platform predict --format`."""
    split: SplitOptions | None = None
    """The videos of each split; default for each: as the data set says, else `validation_fraction`."""
    validation_fraction: FractionBelowOne = 0.2
    """Share of the patients, or of the videos where none are known, to hold out, at least one, if nothing else says
    which; 0: none."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which these are."""

    @model_validator(mode="after")
    def _crop_fits(self) -> "MaskedVideoOptions":
        if self.crop and (self.crop[0] > self.size[0] or self.crop[1] > self.size[1]):
            raise ValueError(f"crop {list(self.crop)} is larger than size {list(self.size)}")
        return self

    def label_names(self) -> tuple[str, ...]:
        """Name of each label by its id, the background first."""
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Clips as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(axes="video", channels=3, size=(self.frames, *(self.crop or self.size)))

    def target_info(self) -> TargetInfo:
        """A class per pixel of some frames, see `DatasetOptions.target_info`."""
        return TargetInfo("voxel", "class", self.label_names(), has_unknown=True)
