"""decord as the decoder of files in which it is known to return the right frames.

decord seeks to the key frame before a frame and counts from there. That is right if every key frame starts afresh: no
frame after it in the file is shown before it. In other files (open groups of pictures, which x265 and MPEG-2 write by
default; edit lists; missing times) it returns wrong frames, and PyAV decodes them instead.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from medvid.data.videos.pictures import UPRIGHT
from medvid.data.videos.reader import VideoReader
from medvid.errors import ConfigError

_NONE = 1e-9
"""The share of damaged frames that decord may replace by others; at 0 it does not count them."""
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Containers, by FFmpeg's names, in which a seek to a key frame's time ends at it; in WMV it often does not."""
_SAME_TIME = 0.002
"""Largest difference of times due to rounding, in seconds."""
_SAME_PICTURE = 4.0
"""Mean difference of gray values between two conversions of one frame to RGB."""


class DecordReader(VideoReader):
    """An open video, decoded by decord where that is safe, else by PyAV.

    It is safe in MP4 and Matroska files if each key frame starts afresh, decord finds the same frames at the same times
    as the packets, and frames are neither turned, mirrored nor stretched. This is determined once per file.

    Raises:
        ConfigError: decord is not installed.
    """

    def _pictures(self, wanted: list[int]) -> dict[int, np.ndarray]:
        indexed = self._container.format.name in _INDEXED
        if indexed and self.times.decord is not False and self.times.begins_afresh:
            # decord raises all kinds of exceptions on damaged and odd files; PyAV decides about those.
            with suppress(Exception):
                return self._by_decord(wanted)
        return super()._pictures(wanted)

    def _by_decord(self, wanted: list[int]) -> dict[int, np.ndarray]:
        reader = _decord().VideoReader(str(self.path), num_threads=1, fault_tol=_NONE)
        if self.times.decord is None:
            self._learn(replace(self.times, decord=False))
            self._compare(reader)
            self._learn(replace(self.times, decord=True))
        return dict(zip(wanted, reader.get_batch(wanted).asnumpy(), strict=True))

    def _compare(self, reader: Any) -> None:
        """Compare decord's view of the file with what is known about it.

        Raises:
            ValueError: they differ.
        """
        starts = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0].astype(np.float64)
        due = self.times.due
        if len(starts) != len(due) or np.abs(starts - starts[0] - due).max() > _SAME_TIME:
            raise ValueError("other frames")
        _, frame = next(self._from_beginning())
        if self.turn(frame) != UPRIGHT or self.square_size(frame) != (frame.width, frame.height):
            raise ValueError("frames to be turned or stretched")  # a black first frame would not show it
        one, other = self.picture(frame), reader[0].asnumpy()
        if one.shape != other.shape or np.abs(one.astype(np.int16) - other).mean() > _SAME_PICTURE:
            raise ValueError("another picture")


def decord_version() -> str:
    """Name and version of decord.

    Raises:
        ConfigError: it is not installed.
    """
    return f"decord {_decord().__version__}"


def _decord() -> Any:
    try:
        import decord
    except ImportError as error:
        raise ConfigError(
            f"dataset.reader is decord, which cannot be imported: {error}",
            hint="pip install decord2, or leave dataset.reader out",
        ) from error
    decord.logging.set_level(decord.logging.QUIET)  # our own messages say what is wrong
    return decord
