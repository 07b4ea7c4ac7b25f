"""Whether a video can be decoded. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from medvid.data.videos.decoders import open_video
from medvid.data.videos.reader import COUNTED, UnexpectedFrameError, VideoReader, VideoReadError

_COMPARED = 8
"""Frames of a video that are read again after a seek."""
_COMPLAINTS = "makes FFmpeg report errors, as damage does; to see them: ffmpeg -v error -i FILE -f null -"
_SLOW = "is decoded from its beginning for each clip, because seeking fails: platform data reencode makes it fast"


def check_video(path: str, *, deep: bool) -> list[str]:
    """Decode a video at its beginning, middle and end; or all of it, and compare some frames with a read after a seek.

    Args:
        path: its file.
        deep: decode all frames, with FFmpeg's own checks for damage.

    Returns:
        What is odd about it but not an error.

    Raises:
        VideoReadError: what is wrong with it.
    """
    with _complaints(listen=deep) as complaints, open_video(path) as video:
        if deep:
            _compare(video)
        else:
            video.frames_at([0.0, video.length.last / 2, video.length.last])
        notes = [COUNTED] if video.times.source == "order" else [] if video.seeks else [_SLOW]
    return [*notes, _COMPLAINTS] if complaints else notes


@contextmanager
def _complaints(*, listen: bool) -> Iterator[list[Any]]:
    """What FFmpeg logs as errors: it skips damage in a container and decodes the rest."""
    from av import logging

    if not listen:
        yield []
        return
    level, repeated = logging.get_level(), logging.get_skip_repeated()
    logging.set_level(logging.ERROR)
    logging.set_skip_repeated(False)
    try:
        with logging.Capture(local=True) as complaints:
            yield complaints
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(repeated)


def _compare(video: VideoReader) -> None:
    try:
        kept = _decode_all(video)
    except UnexpectedFrameError:
        video.look_closer()
        kept = _decode_all(video)
    found = video.frames_at(video.times.due[list(kept)].tolist())
    if not all(np.array_equal(one, other) for one, other in zip(found, kept.values(), strict=True)):
        raise VideoReadError(video.path, "frames after a seek differ from decoding it from the beginning")


def _decode_all(video: VideoReader) -> dict[int, np.ndarray]:
    """Some pictures by their numbers, spread over the video."""
    shown = video.times.shown
    last = np.searchsorted(shown, shown, side="right") - 1  # of frames due at the same time
    wanted = set(last[np.linspace(0, len(shown) - 1, _COMPARED).round().astype(int)].tolist())
    return {number: video.picture(frame) for number, frame in video.frames(strict=True) if number in wanted}
