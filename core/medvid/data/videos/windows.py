"""Clips at regular times of a video of any length, which is decoded once."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.sampling import Sampling, span_of
from medvid.data.videos.transforms import centre, normalise, to_clip
from medvid.data.videos.video import Video


def window_centres(video: Video, every: float) -> list[float]:
    """The middle of each of the intervals that a video is divided into, in seconds: at least one.

    Args:
        video: open.
        every: length of an interval, in seconds; the last may be between half and one and a half times as long.
    """
    duration = video.length.duration
    return [min(every, duration) * (number + 0.5) for number in range(max(1, round(duration / every)))]


def clips_around(video: Video, centres: Sequence[float], options: ClipOptions) -> Iterator[Tensor]:
    """Clips, as in evaluation, with their middle at given times; beyond the video its first or last frame is repeated.

    In memory are the frames of clips that overlap, at the size of the input.

    Args:
        video: open.
        centres: seconds from the first frame, increasing.
        options: how many frames a clip has, how far apart, and how they become input.

    Yields:
        (3, T, size, size) float32: the square in the middle.
    """
    sampling = options.test_sampling_of_clips()
    offsets = _offsets(sampling, video)
    numbers = [video.times.numbers_at(video.within((middle + offsets).tolist())) for middle in centres]
    wanted = np.unique(np.concatenate(numbers))
    decoded = zip(wanted.tolist(), video.in_order(video.times.due[wanted].tolist()), strict=True)
    kept: dict[int, Tensor] = {}
    for clip in numbers:
        kept = {number: picture for number, picture in kept.items() if number >= clip[0]}
        while clip[-1] not in kept:
            number, picture = next(decoded)
            kept[number] = centre(to_clip(picture[None]), options)[0]
        yield normalise(torch.stack([kept[number] for number in clip.tolist()]), options)


def _offsets(sampling: Sampling, video: Video) -> np.ndarray:
    """Seconds from the middle of a clip to each of its frames, (T,)."""
    span = span_of(sampling, video.length)
    return np.linspace(-span / 2, span / 2, sampling.frames) if sampling.frames > 1 else np.zeros(1)
