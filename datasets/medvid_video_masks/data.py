"""A user's own segmented videos."""

import logging
from collections.abc import Mapping
from functools import cached_property

from medvid.data.splits import Splits
from medvid.data.videos.masked.dataset import MaskedVideoDataset
from medvid.data.videos.masked.video import SegmentedVideo
from medvid_video_masks.config import VideoMasksOptions
from medvid_video_masks.index import MaskIndex, find_masked

log = logging.getLogger(__name__)


class VideoMasks(MaskedVideoDataset):
    """A user's own videos, see `medvid_video_masks.config.VideoMasksOptions`."""

    options: VideoMasksOptions

    @property
    def videos(self) -> Mapping[str, SegmentedVideo]:
        return self._index.videos

    @property
    def declared_splits(self) -> Splits:
        return self._index.splits

    @cached_property
    def _index(self) -> MaskIndex:
        index = find_masked(self.options)
        for note in index.notes:
            log.warning(note)
        return index
