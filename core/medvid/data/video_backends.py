"""What decodes videos: torchcodec, decord and PyAV, behind one interface. Each is imported on use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medvid.config.videos import ReaderName
from medvid.data.video_reader import VideoReader, VideoReadError
from medvid.data.video_sampling import Length

_NONE = 1e-9  # a share of the frames; decord does not look for any if it is 0
_LONGEST = 1e7
"""Seconds; a time beyond is none."""


class TorchcodecReader(VideoReader):
    """torchcodec, the fastest; it needs FFmpeg's shared libraries and is no dependency of ours."""

    backend: ClassVar[str] = "torchcodec"

    def _open(self) -> Length:
        from torchcodec.decoders import VideoDecoder

        self._decoder = VideoDecoder(str(self.path), dimension_order="NHWC", num_ffmpeg_threads=1)
        found = self._decoder.metadata
        self._start, self._end = found.begin_stream_seconds, found.end_stream_seconds
        # FFmpeg 5 ends some files before their last frame, which makes the rate counted from the content too high.
        return Length(self._end - self._start, found.average_fps_from_header or found.average_fps)

    def _read(self, times: np.ndarray) -> np.ndarray:
        latest = np.nextafter(self._end, 0)
        batch = self._decoder.get_frames_played_at((times + self._start).clip(max=latest).tolist())
        frames: np.ndarray = batch.data.numpy()
        return frames

    def close(self) -> None:
        del self._decoder


class DecordReader(VideoReader):
    """decord, as the maintained distribution decord2."""

    backend: ClassVar[str] = "decord"

    def _open(self) -> Length:
        from decord import VideoReader as Reader

        # Without a tolerance, it would silently put other frames in the place of damaged ones.
        self._reader: Any = Reader(str(self.path), num_threads=1, fault_tol=_NONE)
        count = len(self._reader)
        starts = self._reader.get_frame_timestamp(np.arange(count))[:, 0].astype(np.float64)
        self._starts = starts - starts[0]
        if not (np.diff(starts) >= 0).all() or np.abs(starts).max() > _LONGEST:
            raise VideoReadError(
                self.path, "its frames have no times: re-encode it, or use dataset.reader=av", "decord"
            )
        # The times of the frames are exact; the average that it reports is wrong where they vary.
        fps = (count - 1) / self._starts[-1] if self._starts[-1] > 0 else self._reader.get_avg_fps()
        fps = fps if np.isfinite(fps) and fps > 0 else 1.0
        return Length(float(self._starts[-1] + 1 / fps), float(fps))

    def _read(self, times: np.ndarray) -> np.ndarray:
        from decord import DECORDError

        shown = np.searchsorted(self._starts, times, side="right") - 1
        try:
            frames: np.ndarray = self._reader.get_batch(shown).asnumpy()
        except DECORDError:
            # It takes the padding of rows for more channels where it is a multiple of the width, up to 96 pixels, and
            # then cannot put frames together. Damaged files fail again here.
            frames = np.stack([_without_padding(self._reader[int(index)].asnumpy()) for index in shown])
        return frames

    def close(self) -> None:
        del self._reader


class AVReader(VideoReader):
    """PyAV, which has FFmpeg in it: seeks to the first frame that is wanted and decodes up to the last."""

    backend: ClassVar[str] = "av"

    def _open(self) -> Length:
        import av

        self._container = av.open(str(self.path))
        if not self._container.streams.video:
            raise VideoReadError(self.path, "it has no video stream", self.backend)
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "NONE"
        unit = self._stream.time_base
        self._start = float((self._stream.start_time or 0) * unit)
        duration = float((self._stream.duration or 0) * unit) or (self._container.duration or 0) / 1e6
        fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        if duration <= 0 or fps <= 0:
            raise VideoReadError(self.path, "it says neither how long it is nor how many frames it has", self.backend)
        return Length(duration, fps)

    def _read(self, times: np.ndarray) -> np.ndarray:
        wanted = np.unique(times) + self._start
        shown: dict[float, np.ndarray] = {}
        current = None
        for frame in self._frames_from(wanted[0]):
            if current is not None and frame.time > wanted[len(shown)]:
                picture = _picture(current)
                while len(shown) < len(wanted) and frame.time > wanted[len(shown)]:
                    shown[wanted[len(shown)]] = picture
            current = frame
            if len(shown) == len(wanted):
                break
        if len(shown) < len(wanted):
            shown |= dict.fromkeys(wanted[len(shown) :].tolist(), self._last(current))
        return np.stack([shown[time + self._start] for time in times])

    def _frames_from(self, time: float) -> Iterator[Any]:
        """Frames from one that is shown at a time or before."""
        self._container.seek(int(time / self._stream.time_base), stream=self._stream)
        frames = self._container.decode(self._stream)
        first = next(frames, None)
        if first is None or first.time > time:  # not all indices are right
            self._container.seek(0, backward=True)
            yield from self._container.decode(self._stream)
            return
        yield first
        yield from frames

    def _last(self, frame: Any) -> np.ndarray:
        """The frame after which no other came; an error if the file says that it goes on for long."""
        ended = frame.time - self._start if frame is not None else 0.0
        if ended < self.length.last - max(0.5, 0.05 * self.length.duration):
            raise VideoReadError(
                self.path, f"its frames end at {ended:.2f} s of {self.length.duration:.2f} s", self.backend
            )
        return _picture(frame)

    def close(self) -> None:
        self._container.close()


def _without_padding(frame: np.ndarray) -> np.ndarray:
    height, width, channels = frame.shape
    return frame.reshape(height, width * channels)[:, : 3 * width].reshape(height, width, 3)


def _picture(frame: Any) -> np.ndarray:
    picture: np.ndarray = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, frame.rotation // 90)) if frame.rotation else picture


def _torchcodec() -> Callable[[Path], VideoReader]:
    import torchcodec.decoders

    if getattr(torchcodec, "ffmpeg_major_version", 0) is None:  # older versions raise while they are imported
        raise ImportError("FFmpeg's shared libraries, version 4 or later, are not installed")
    return TorchcodecReader


def _decord() -> Callable[[Path], VideoReader]:
    import decord

    decord.logging.set_level(decord.logging.QUIET)  # what is wrong is in our own message
    return DecordReader


def _av() -> Callable[[Path], VideoReader]:
    import av  # noqa: F401 (fails where it is not installed)

    return AVReader


BACKENDS: dict[ReaderName, Callable[[], Callable[[Path], VideoReader]]] = {
    "torchcodec": _torchcodec,
    "decord": _decord,
    "av": _av,
}
"""Imports a backend and gives its class; the best first."""
