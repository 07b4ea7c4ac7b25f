"""EchoNet-Dynamic."""

from collections.abc import Sequence
from functools import cached_property

from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.decoders import open_video
from medvid.data.videos.index import VideoIndex
from medvid_echonet.config import EchoNetOptions
from medvid_echonet.index import FILE_LIST, FileList


class EchoNet(VideoDataset):
    """Videos of the heart with ejection fraction and volumes, see `medvid_echonet.config.EchoNetOptions`."""

    options: EchoNetOptions

    @cached_property
    def file_list(self) -> FileList:
        """What FileList.csv says."""
        return self.options.file_list()

    def read_index(self) -> VideoIndex:
        return self.file_list.index

    def answer(self, place: int) -> Sequence[float]:
        """The measures that are asked for."""
        measured = self.file_list.measured[self.index.clips.ids[place]]
        return tuple(measured[measure] for measure in self.options.measures)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """As `VideoDataset.check_case`; and compare the number of frames with FileList.csv."""
        notes = super().check_case(case, deep=deep)
        with open_video(self.clip(case).path) as video:
            found = len(video.times.shown)
        said = self.file_list.frame_counts[case]
        return [*notes, *([f"has another number of frames than {FILE_LIST} says"] if found != said else [])]
