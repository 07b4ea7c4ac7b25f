"""What is found out about a video: length, frame rate, size, key frames and motion."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from medvid.data.dataset import Progress
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.decoders import open_clip
from medvid.data.videos.video import Video
from medvid.planning.survey import kept, load_values, look_at_all, write_values
from medvid.planning.videos.motion import half_change

_VERSION = 1
"""Increase this when facts of older code must no longer be used."""
LOOKED_AT = 500
"""Videos that are opened at most, spread evenly over the data set: medians need no more."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """One video.

    Args:
        seconds: its length.
        fps: frames per second, on average.
        height: pixels, as a player shows it.
        width: likewise.
        key_interval: seconds between frames at which a decoder can start; the length where there is one only.
        half_change: seconds in which half of what changes has changed, see `motion`; None where nothing moves.
    """

    seconds: float
    fps: float
    height: int
    width: int
    key_interval: float
    half_change: float | None


def look_at_videos(dataset: VideoDataset, cases: Sequence[str], progress: Progress) -> list[VideoFacts]:
    """The facts of at most `LOOKED_AT` cases.

    Raises:
        DataError: videos cannot be read; all of them are named.
        ResourceError: the cache cannot be written to, or a process died.
    """
    chosen = cases[:: -(-len(cases) // LOOKED_AT)]
    return look_at_all(partial(_look_up, dataset=dataset), chosen, progress)


def _look_up(case: str, dataset: VideoDataset) -> VideoFacts:
    clip, options = dataset.clip(case), dataset.options
    key = ["video", _VERSION, dataset.fingerprint(case), options.frame_files.model_dump()]
    return kept(options.cache, key, _load, lambda: read_facts(open_clip(clip.path, options, part=clip.part)), _write)


def read_facts(video: AbstractContextManager[Video]) -> VideoFacts:
    """Open a video and look at it.

    Raises:
        DataError: it cannot be read.
    """
    with video as opened:
        first = opened.frames_at([0.0])[0]
        length = opened.length
        return VideoFacts(
            length.duration,
            length.fps,
            first.shape[0],
            first.shape[1],
            length.duration / max(1, len(opened.times.keys)),
            half_change(opened, first.nbytes),
        )


def _load(folder: Path) -> VideoFacts:
    return VideoFacts(**load_values(folder))


def _write(facts: VideoFacts, folder: Path) -> None:
    write_values(asdict(facts), folder)
