"""A case of a video data set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from medvid.data.placement import Placement
from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.decoders import open_clip
from medvid.data.videos.files import new_videos
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.sampling import SHORT_HINT, Sampling, all_times, placed_times
from medvid.data.videos.transforms import blank, pixels, read_clip, squares, test_clips, to_clip
from medvid.data.videos.video import Video
from medvid.data.videos.windows import clips_around, window_centres
from medvid.data.views import SharedFrames
from medvid.errors import ConfigError


class VideoCase:
    """A video, see `medvid.data.dataset.ViewedCase`. Its file is opened each time frames are asked for.

    Args:
        id: its name in the data set.
        path: its file, or the folder of its frames.
        options: how it is read.
        target: what it is annotated with; None for a new file.
        patient: whose it is; empty where nothing says so.
        hint: what to do if it cannot be read.
        part: of a folder, see `medvid.data.videos.clips.Clip`.
    """

    def __init__(
        self,
        id: str,
        path: Path | str,
        options: ClipOptions,
        target: Tensor | None = None,
        patient: str = "",
        hint: str = "",
        part: tuple[int, int] | None = None,
    ) -> None:
        self.id, self.target, self.patient = id, target, patient
        self.sources = (Path(path),)
        self._options, self._hint, self._part = options, hint, part

    def input(self) -> Tensor:
        """The centre crop of the middle clip of the video."""
        return self.views(1, 1, "spread")[0]

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:
        with self._open() as video:
            times = self._chosen(video, lambda sampling: placed_times(sampling, video.length, clips, placement))
            frames = read_clip(video, [time for clip in times for time in clip], self._options)
        parts = frames.chunk(clips)
        return torch.cat([test_clips(part, self._options, crops) for part in parts])

    def all_views(self, stride: int, crops: int) -> SharedFrames:
        """The views from every `stride`-th frame that a clip can begin at; the file is decoded once.

        Held are the frames as bytes, of the size that the model sees.
        """
        options = self._options
        with self._open() as video:
            clips = self._chosen(video, lambda sampling: all_times(sampling, video.length, stride))
            times = video.within(np.ravel(clips))
            shown = video.times.numbers_at(times)
            if options.short == "blank":
                shown[times >= video.length.duration] = len(video.times.due)
            numbers, places = np.unique(shown, return_inverse=True)
            read = video.times.due[numbers[numbers < len(video.times.due)]]
            frames = blank(options).repeat(crops, len(numbers), 1, options.size, options.size)
            for place, picture in enumerate(video.in_order(read)):
                frames[:, place] = torch.cat(squares(to_clip(picture[None]), options, crops))
        return SharedFrames(frames, torch.from_numpy(places).view(len(clips), -1), pixels(options))

    def along(self, every: float) -> Iterator[tuple[float, Tensor]]:
        """Clips at regular times, decoded once: the middle of each in seconds, and its centre crop (3, T, size, size).

        Args:
            every: seconds from one to the next, see `medvid.data.videos.windows`.

        Raises:
            ConfigError: a clip is the whole video, so there is none at a time.
        """
        if self._options.test_sampling_of_clips().kind == "segments":
            raise ConfigError(
                "clips of this task are spread over the whole video (segments), so there are none at a time",
                hint="--set dataset.test_sampling=clip, or leave out --every",
            )
        with self._open() as video:
            centres = window_centres(video, every)
            yield from zip(centres, clips_around(video, centres, self._options), strict=True)

    def thumbnails(self, count: int) -> np.ndarray:
        """Pictures whose shorter side is at most `size`."""
        with self._open() as video:
            length = video.length
            count = min(count, max(1, round(length.duration * length.fps)))
            frames = video.frames_at([length.duration * (number + 0.5) / count for number in range(count)])
        clip = to_clip(frames)
        if min(clip.shape[-2:]) > self._options.size:
            clip = functional.resize(clip, [self._options.size], antialias=True)
        return clip.permute(0, 2, 3, 1).contiguous().numpy()

    def _open(self) -> AbstractContextManager[Video]:
        return open_clip(self.sources[0], self._options, self._hint, self._part)

    def _chosen(self, video: Video, choose: Callable[[Sampling], list[list[float]]]) -> list[list[float]]:
        """The times of the frames of clips."""
        try:
            return choose(self._options.test_sampling_of_clips())
        except ValueError as error:
            raise VideoReadError(video.path, str(error), hint=SHORT_HINT) from None


def new_cases(paths: Sequence[Path], options: ClipOptions) -> Iterator[VideoCase]:
    """Videos without annotation, for prediction; raises as `medvid.data.videos.files.new_videos`."""
    for name, path in new_videos(paths, options).items():
        yield VideoCase(name, path, options)
