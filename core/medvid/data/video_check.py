"""Whether a video can be decoded. Imports no torch."""

import numpy as np

from medvid.data.video_reader import COUNTED, UnexpectedFrameError, VideoReader, VideoReadError, open_video

_COMPARED = 8
"""Frames of a video that are read once more after a seek."""
_SLOW = "is decoded from its beginning for each clip, as no seek finds its frames: platform data prepare makes it fast"


def check_video(path: str, *, deep: bool) -> list[str]:
    """Decode a video at its beginning, middle and end; or all of it, and compare some frames with those after a seek.

    Args:
        path: its file.
        deep: decode all frames, with FFmpeg's own checks for damage.

    Returns:
        What is odd about it, and yet no error.

    Raises:
        VideoReadError: what is wrong with it.
    """
    with open_video(path) as video:
        if deep:
            _compare(video)
        else:
            video.frames_at([0.0, video.length.last / 2, video.length.last])
        if video.times.source == "order":
            return [COUNTED]
        return [] if video.seeks else [_SLOW]


def _compare(video: VideoReader) -> None:
    try:
        kept = _decode_all(video)
    except UnexpectedFrameError:
        video.look_closer()
        kept = _decode_all(video)
    due = (video.times.shown - video.times.shown[0]) * float(video.times.unit)
    found = video.frames_at(due[list(kept)].tolist())
    if not all(np.array_equal(one, other) for one, other in zip(found, kept.values(), strict=True)):
        raise VideoReadError(video.path, "after a seek other frames come than in decoding it in one go")


def _decode_all(video: VideoReader) -> dict[int, np.ndarray]:
    """Some pictures by their numbers, spread over the video."""
    shown = video.times.shown
    last = np.searchsorted(shown, shown, side="right") - 1  # of those that are due at the same time
    wanted = set(last[np.linspace(0, len(shown) - 1, _COMPARED).round().astype(int)].tolist())
    return {number: video.picture(frame) for number, frame in video.frames(strict=True) if number in wanted}
