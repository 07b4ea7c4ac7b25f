"""A user's own videos."""

from collections.abc import Sequence

from medvid.data.splits import Splits, hold_out
from medvid.data.videos.dataset import VideoDataset
from medvid_videos.config import VideosOptions


class Videos(VideoDataset):
    """A user's own videos, see `medvid_videos.config.VideosOptions`."""

    options: VideosOptions

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Hold out a share of each class."""
        by_class: dict[int | None, list[str]] = {}
        for case in cases:
            by_class.setdefault(self.clip(case).label, []).append(case)
        held_out = {case for alike in by_class.values() for case in self._held_out(alike)}
        return {
            "train": tuple(case for case in cases if case not in held_out),
            "validation": tuple(case for case in cases if case in held_out),
        }

    def _held_out(self, cases: list[str]) -> tuple[str, ...]:
        if len(cases) < 2:
            return ()
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed).get("validation", ())
