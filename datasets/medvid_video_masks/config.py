"""Options of a user's own segmented videos, and of the generated drops that are their demo data."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, field_validator

from medvid.config.options import Options
from medvid.data.images.options import MaskOptions
from medvid.data.videos.masked.options import MaskedVideoOptions, Size2D

FRAME = "{frame}"
"""Stands in `mask_name` for the number of a frame."""


class VideoMasksOptions(MaskedVideoOptions, MaskOptions):
    """A user's own videos, of which some frames have a label map.

    `root` has a folder of videos, and one of masks; or its folders train, val (or validation) and test each have both.
    The masks of `videos/a.mp4` are images in the folder `masks/a`, named after the numbers of their frames
    (`masks/a/00012.png`), or the frames of one file `masks/a.nii.gz` with the axes frame, row, column. Frames without a
    mask, or with nothing but `ignore` in it, count in no loss and no figure. Videos without masks are left out.
    """

    name: Literal["video_masks"] = "video_masks"
    videos: str | None = None
    """Folder of the videos; default: videos, video or clips, whichever exists."""
    masks: str | None = None
    """Folder of the masks; default: masks, mask, labels or label."""
    mask_name: str | None = None
    """How masks that are images are named, without their ending, where `{frame}` stands for the number of the frame:
    `img_{frame}_mask`. Default: the only number in the name."""
    first_frame: Literal[0, 1] = 0
    """What the first frame of a video is called in the names of masks."""
    patient_pattern: str | None = None
    """A regular expression whose first group, or all that it matches, is the patient in the name of a video:
    `^(P[0-9]+)_`. A patient is never both trained on and held out."""

    @field_validator("mask_name")
    @classmethod
    def _has_a_number(cls, value: str | None) -> str | None:
        if value is not None and value.count(FRAME) != 1:
            raise ValueError(f"{value!r} has to have {FRAME} once, which stands for the number of the frame")
        return value

    def label_names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels


class DropsOptions(Options):
    """Generated videos of drops, in the layout of a user's own."""

    train: PositiveInt = 8
    """Number of training videos."""
    validation: NonNegativeInt = 3
    length: PositiveInt = 24
    """Frames of each video."""
    annotated: PositiveInt = 3
    """Frames of each that have a mask."""
    size: Size2D = (48, 64)
    """Height and width of each frame, both even."""
    seed: NonNegativeInt = 0
