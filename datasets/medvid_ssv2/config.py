"""Options of Something-Something V2."""

from pathlib import Path
from typing import Literal

from medvid.data.transforms.options import VideoTransform
from medvid.data.videos.index import VideoIndex
from medvid.data.videos.labels import read_labels
from medvid.data.videos.options import VideoDatasetOptions
from medvid.data.videos.sampling import SamplingKind
from medvid_ssv2.index import find_annotations, read_index


class SSV2Options(VideoDatasetOptions):
    """Something-Something V2 as downloaded: annotations in JSON, and videos named by number.

    The annotations are something-something-v2-{train,validation,test,labels}.json or {train,validation,labels}.json, in
    `root` or its folder labels or annotations; the videos are <number>.webm, .mp4 if re-encoded, or folders of frames
    called <number>.
    """

    name: Literal["ssv2"] = "ssv2"
    sampling: SamplingKind = "segments"
    augment: tuple[VideoTransform, ...] = ()
    """Random changes of training clips, see `ClipOptions`. No horizontal_flip: it makes of pushing something to
    the left pushing it to the right, which is another class."""
    annotations: Path | None = None
    """Folder of the annotations, relative to `root`; default: `root`, labels or annotations."""
    videos: Path | None = None
    """Folder of the videos, relative to `root`; default: 20bn-something-something-v2, videos, rawframes, frames,
    or `root` itself."""

    def label_names(self) -> tuple[str, ...]:
        """The 174 templates, by the ids in the labels file."""
        return read_labels(find_annotations(self.root, self.annotations)["labels"])

    def index(self) -> VideoIndex:
        """Read the annotations, see `VideoDatasetOptions.index`."""
        return read_index(self.root, self.annotations, self.videos)
