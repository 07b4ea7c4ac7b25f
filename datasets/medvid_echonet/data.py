"""EchoNet-Dynamic."""

import logging
from collections.abc import Sequence
from functools import cached_property

from medvid.data.dataset import Progress
from medvid.data.splits import check_copies
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.decoders import open_clip
from medvid.data.videos.index import VideoIndex
from medvid_echonet.config import EchoNetOptions
from medvid_echonet.index import FILE_LIST, FileList

log = logging.getLogger(__name__)


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

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """As `VideoDataset.prepare`; and refuse the same video under two names, one trained on and one held out."""
        super().prepare(cases, progress)
        for note in check_copies(self.splits, {case: self.fingerprint(case) for case in cases}):
            log.warning(note)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """As `VideoDataset.check_case`; and compare the video's length with FileList.csv."""
        notes = [*super().check_case(case, deep=deep)]
        count, fps = self.file_list.lengths[case]
        with open_clip(self.clip(case).path, self.options) as video:
            if len(video.times.due) != count:
                notes.append(f"another number of frames than in {FILE_LIST}, of which those of the file count")
            if abs(video.length.fps - fps) > 0.01 * fps:
                notes.append(f"another frame rate than in {FILE_LIST}; frames are counted, so it does not matter")
        return notes
