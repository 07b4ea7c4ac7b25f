"""Options of Something-Something V2."""

from pathlib import Path
from typing import Literal

from medvid.config.video_augment import Probability, VideoAugmentOptions
from medvid.config.videos import VideoDatasetOptions
from medvid.data.video_index import VideoIndex
from medvid.data.video_labels import read_labels
from medvid.data.video_sampling import SamplingKind
from medvid_ssv2.index import find_annotations, read_index


class SSV2AugmentOptions(VideoAugmentOptions):
    """Random changes that keep left and right apart, which classes differ by."""

    horizontal_flip: Probability = 0.0
    """Probability of mirroring left and right; pushing something to the left then is to the right."""


class SSV2Options(VideoDatasetOptions):
    """Something-Something V2 as it is downloaded: annotations in JSON, and videos that are called by their numbers.

    The annotations are something-something-v2-{train,validation,test,labels}.json or {train,validation,labels}.json, in
    `root` or its folder labels or annotations; the videos <number>.webm, or .mp4 where re-encoded.
    """

    name: Literal["ssv2"] = "ssv2"
    sampling: SamplingKind = "segments"
    augment: SSV2AugmentOptions = SSV2AugmentOptions()
    annotations: Path | None = None
    """Folder of the annotations, relative to `root`; default: where they are found."""
    videos: Path | None = None
    """Folder of the videos, relative to `root`; default: 20bn-something-something-v2, videos, or `root` itself."""

    def label_names(self) -> tuple[str, ...]:
        """The 174 templates, by the ids of the file of labels."""
        return read_labels(find_annotations(self.root, self.annotations)["labels"])

    def index(self) -> VideoIndex:
        """Read the annotations, see `VideoDatasetOptions.index`."""
        return read_index(self.root, self.annotations, self.videos)
