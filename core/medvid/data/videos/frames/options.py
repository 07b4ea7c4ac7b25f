"""Options that every data set of videos with annotated frames has."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from medvid.config.numbers import FractionBelowOne
from medvid.data.framed_options import FramedOptions
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import VideoTransform
from medvid.data.videos.clip_options import PictureOptions
from medvid.data.videos.frames.annotation import Annotation
from medvid.data.videos.frames.index import AnnotatedVideo, FramedIndex
from medvid.plugin.info import InputInfo


class FramedVideoOptions(PictureOptions, FramedOptions):
    """Base of the options of data sets of videos that are annotated frame by frame.

    Frames are counted at `fps`, from 0, whatever the rate of a file, even a varying one: frame n is the one that is
    shown next to n / fps seconds after the first. A row of an annotation belongs to a frame by its time.
    """

    frames: PositiveInt = 16
    """Frames of a window: what the model sees at once."""
    fps: PositiveFloat | None = 1.0
    """Frames per second that are seen, annotated and answered; null: all frames of a file."""
    annotation_fps: PositiveFloat | None = None
    """Rate at which annotations count frames; default: they count those of the file."""
    first_frame: Literal[0, 1] = 0
    """The number of the first frame in annotations."""
    tolerance: NonNegativeFloat = 2.0
    """Seconds by which an annotation may end before or after its video. Rows behind its end are left out, frames
    without a row are unknown."""
    augment: tuple[VideoTransform, ...] = ()
    """Random changes of training windows, in this order, the same for all frames."""
    split: SplitOptions | None = None
    """The videos of each split; default: as lists or the publication say, else `validation_fraction`."""
    validation_fraction: FractionBelowOne = 0.2
    """Share of the patients, or of the videos where no patients are known, to hold out, if nothing names validation
    videos; 0: none."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which these are."""

    def index(self) -> FramedIndex:
        """All videos.

        Raises:
            medvid.errors.DataError: all that is wrong with folders and lists.
        """
        raise NotImplementedError

    def annotation(self, video: AnnotatedVideo) -> Annotation:
        """Read what an annotated video of the index is annotated with.

        Raises:
            medvid.errors.DataError: the file cannot be read, or a line is wrong.
        """
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Windows, see `DatasetOptions.input_info`."""
        return InputInfo("video", 3, (self.frames, self.size, self.size), self.stride, self.answers)
