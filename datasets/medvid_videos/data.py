"""A user's own videos."""

from array import array
from collections.abc import Sequence

from medvid.data.names import chosen
from medvid.data.splits import Splits, hold_out
from medvid.data.videos.answered import AnsweredVideos
from medvid.data.videos.dataset import VideoDataset
from medvid_videos.config import VideosOptions


class Videos(VideoDataset):
    """A user's own videos, see `medvid_videos.config.VideosOptions`."""

    options: VideosOptions

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Hold out a share of each class; of clips with several labels, of all."""
        clips, places = self.index.clips, self.index.clips.places(cases)
        by_class: dict[int | None, array[int]] = {}
        for place in places:
            alike = clips.label(place) if self.index.several is None else None
            by_class.setdefault(alike, array("i")).append(place)
        held_out = bytearray(len(clips))
        for together in by_class.values():
            for place in clips.places(self._held_out(clips.ids.at(together))):
                held_out[place] = True
        return {
            "train": chosen(cases, (not held_out[place] for place in places)),
            "validation": chosen(cases, (bool(held_out[place]) for place in places)),
        }

    def _held_out(self, cases: Sequence[str]) -> Sequence[str]:
        if len(cases) < 2:
            return ()
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed).get("validation", ())


class VideoTable(AnsweredVideos):
    """A user's own videos with answers of their own, see `medvid_videos.config.VideoTableOptions`."""
