"""A user's own videos."""

from collections.abc import Mapping

from medvid.data.splits import hold_out
from medvid.data.video_index import VideoIndex
from medvid.data.videos import VideoDataset
from medvid_videos.config import VideosOptions


class Videos(VideoDataset):
    """A user's own videos, see `medvid_videos.config.VideosOptions`."""

    options: VideosOptions

    def split(self, index: VideoIndex) -> Mapping[str, tuple[str, ...]]:
        """As lists or folders say; where they name no clips for validation, a share of each class is held out."""
        if "validation" in index.splits or (index.splits and "train" not in index.splits):
            return index.splits
        given = index.splits.get("train", tuple(index.clips))
        by_class: dict[int | None, list[str]] = {}
        for case in given:
            by_class.setdefault(index.clips[case].label, []).append(case)
        held_out = {case for cases in by_class.values() for case in self._held_out(cases)}
        return {
            **index.splits,
            "train": tuple(case for case in given if case not in held_out),
            "validation": tuple(case for case in given if case in held_out),
        }

    def _held_out(self, cases: list[str]) -> tuple[str, ...]:
        if len(cases) < 2:
            return ()
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed).get("validation", ())
