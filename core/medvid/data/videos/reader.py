"""Reading frames of a video file by their time; every failure is one exception that names the file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.videos.pictures import Turn, square_size, turn_of, turned
from medvid.data.videos.times import FrameTimes, Remembered, times_of_frames, times_of_packets
from medvid.data.videos.video import Video
from medvid.errors import DataError

_REMEMBERED = Remembered()
COUNTED = "has no frame times, or wrong ones: frames are counted, at the constant rate in its header"
"""The note on a file whose `FrameTimes` have the source order."""
_SLOW = "is decoded from its beginning for each clip, because seeking fails: platform data reencode makes it fast"

_COMPARED = 8
"""Frames of a video that are read again after a seek."""
_BACK = 3
"""Number of key frames that are tried, going back from the last one before a frame."""


class VideoReadError(DataError):
    """A video cannot be read.

    Args:
        path: its file.
        reason: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, path: Path | str, reason: str, hint: str = "") -> None:
        super().__init__(f"{path} cannot be read: {reason}", hint=hint)
        self.path, self.reason = Path(path), reason

    def __reduce__(self) -> tuple[type["VideoReadError"], tuple[Path, str, str]]:
        """Makes the error survive pickling, on its way from a loader process."""
        return VideoReadError, (self.path, self.reason, self.hint)


class UnexpectedFrameError(Exception):
    """A decoded frame is not the next one by the times of the file's packets.

    Args:
        sought: after a seek; otherwise while decoding from the beginning.
    """

    def __init__(self, *, sought: bool) -> None:
        super().__init__("the order of its frames differs from its packets")
        self.sought = sought


class VideoReader(Video):
    """An open video file, decoded by PyAV, which contains FFmpeg, in one thread.

    It seeks to the key frame before the wanted frame, and decodes from there.

    After a seek, FFmpeg starts where the container's index leads, skips frames that refer to frames it has not seen,
    and guesses missing times. So every packet and every frame is compared with the next one in `FrameTimes`; a file
    where they differ is decoded from its beginning each time. Frames are turned and mirrored as the file says, and get
    square pixels.

    Args:
        path: its file.

    Raises:
        VideoReadError: it is not a video, or has no frames.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container: Any = None
        self._untouched = False
        self._turn: Turn | None = None
        with self._as_one_error():
            self._begin()
            self._untouched = True
            self._learn(_REMEMBERED.get(path) or self._find_times())

    @property
    def notes(self) -> Sequence[str]:
        return [COUNTED] if self.times.source == "order" else [] if self.seeks else [_SLOW]

    @property
    def seeks(self) -> bool:
        """Whether decoding starts near the wanted frame; otherwise, as far as known, at the beginning."""
        return bool(len(self.times.keys))

    def frames_at(self, times: Sequence[float]) -> np.ndarray:
        with self._as_one_error():
            return self._read(self.within(times))

    def in_order(self, times: Sequence[float]) -> Iterator[np.ndarray]:
        with self._as_one_error():
            asked, done = self.within(times), 0
            while done < len(asked):
                numbers = self.times.numbers_at(asked)
                try:
                    for number, picture in self._decoded(np.unique(numbers[done:]).tolist()):
                        for _ in range(done, int(np.searchsorted(numbers, number, side="right"))):
                            yield picture
                            done += 1
                except UnexpectedFrameError as error:
                    self._adapt(error)
                    if not np.array_equal(self.times.numbers_at(asked[:done]), numbers[:done]):
                        reason = "its frames have other times than its packets"
                        raise VideoReadError(self.path, reason, hint="re-encode it") from None

    def check_all(self) -> None:
        """Decode every frame, with FFmpeg's own checks for damage, and compare some with a read after a seek."""
        try:
            kept = self._spread_out()
        except UnexpectedFrameError:
            self.look_closer()
            kept = self._spread_out()
        found = self.frames_at(self.times.due[list(kept)].tolist())
        if not all(np.array_equal(one, other) for one, other in zip(found, kept.values(), strict=True)):
            raise VideoReadError(self.path, "frames after a seek differ from decoding it from the beginning")

    def frames(self, *, strict: bool = False) -> Iterator[tuple[int, Any]]:
        """All frames in order, as PyAV frames, with their numbers in `times`.

        Args:
            strict: with FFmpeg's own checks for damage.

        Raises:
            UnexpectedFrameError: `times` are wrong; call `look_closer` and start again.
            VideoReadError: they cannot be decoded.
        """
        number = -1
        try:
            for number, frame in self._from_beginning({"err_detect": "explode"} if strict else {}):
                if strict and frame.is_corrupt:
                    raise VideoReadError(self.path, f"frame {number} is damaged")
                yield number, frame
        except (DataError, MemoryError, UnexpectedFrameError):
            raise
        except Exception as error:
            reason = f"it is damaged after {number + 1} frames: {reason_of(error)}"
            raise VideoReadError(self.path, reason) from error

    def look_closer(self) -> None:
        """Determine the times of all frames by decoding them.

        Raises:
            VideoReadError: they cannot be decoded, or their times came from decoding already.
        """
        if self.times.source != "packets":
            raise VideoReadError(self.path, "its frame times differ each time it is decoded")
        with self._as_one_error():
            self._learn(self._decode_times(self.times))

    def close(self) -> None:
        if self._container is not None:
            self._container.close()

    def _read(self, times: np.ndarray) -> np.ndarray:
        while True:
            numbers = self.times.numbers_at(times)
            try:
                pictures = self._pictures(np.unique(numbers).tolist())
            except UnexpectedFrameError as error:
                self._adapt(error)
            else:
                break
        if len({picture.shape for picture in pictures.values()}) > 1:
            raise VideoReadError(self.path, "its frames have different sizes: re-encode it")
        return np.stack([pictures[number] for number in numbers.tolist()])

    def _adapt(self, error: UnexpectedFrameError) -> None:
        """Read the file in a slower way, which finds the right frames."""
        if error.sought:
            self._learn(self.times.without_keys())
        else:
            self.look_closer()

    def _spread_out(self) -> dict[int, np.ndarray]:
        """Some pictures by their numbers, while all are decoded."""
        shown = self.times.shown
        last = np.searchsorted(shown, shown, side="right") - 1  # of frames due at the same time
        wanted = set(last[np.linspace(0, len(shown) - 1, _COMPARED).round().astype(int)].tolist())
        return {number: self.picture(frame) for number, frame in self.frames(strict=True) if number in wanted}

    def _begin(self) -> None:
        """Reopen the file at its beginning; seeking back there does not restore the state of all containers."""
        import av

        if self._untouched:
            self._untouched = False
            return
        self.close()
        self._container = av.open(str(self.path))
        if not self._container.streams.video:
            raise VideoReadError(self.path, "it has no video stream")
        self._stream = self._container.streams.best("video")  # not a picture of the cover
        self._stream.thread_type = "NONE"
        self._reformatter = av.video.reformatter.VideoReformatter()

    def _learn(self, times: FrameTimes) -> None:
        _REMEMBERED.put(self.path, times)
        self.times = times

    def _find_times(self) -> FrameTimes:
        self._begin()
        times = times_of_packets(self._container, self._stream)
        if times is None:
            return self._decode_times(None)
        if times.packets[0] == times.shown[0] and 0 in times.keys:
            return times
        self._begin()  # an edit list starts later, or the first packets cannot be decoded
        first = next(self._container.decode(self._stream), None)
        return times if first is not None and first.pts == times.shown[0] else self._decode_times(times)

    def _decode_times(self, packets: FrameTimes | None) -> FrameTimes:
        self._begin()
        times = times_of_frames(self._container, self._stream, packets)
        if times is None:
            raise VideoReadError(self.path, "it has no frames")
        if packets and times.length.duration < packets.length.duration - max(0.5, 0.05 * packets.length.duration):
            ended, declared = times.length.duration, packets.length.duration
            raise VideoReadError(self.path, f"its frames end at {ended:.2f} s of {declared:.2f} s")
        return times

    def _pictures(self, wanted: list[int]) -> dict[int, np.ndarray]:
        """Frames by their numbers, which increase."""
        return dict(self._decoded(wanted))

    def _decoded(self, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames with their numbers, which increase."""
        frames: Iterator[tuple[int, Any]] | None = None
        reached = 0
        for number in wanted:
            key = self.times.key_before(number)
            if frames is None or (key is not None and self.times.packets[key] > self.times.shown[reached]):
                frames = self._from_key(number)
            for reached, frame in frames:
                if reached == number:
                    yield number, self.picture(frame)
                    break
            else:
                raise UnexpectedFrameError(sought=key is not None)

    def _from_beginning(self, options: Mapping[str, str] | None = None) -> Iterator[tuple[int, Any]]:
        """All frames with their numbers."""
        self._begin()
        self._stream.codec_context.options = dict(options or {})
        counted = self.times.source == "order"
        number = 0
        for number, frame in enumerate(self._container.decode(self._stream), start=1):
            if number > len(self.times.shown) or not (counted or frame.pts == self.times.shown[number - 1]):
                raise UnexpectedFrameError(sought=False)
            yield number - 1, frame
        if number < len(self.times.shown):
            raise UnexpectedFrameError(sought=False)

    def _from_key(self, number: int) -> Iterator[tuple[int, Any]]:
        """Frames with their numbers, from the key frame before a frame, or from the beginning."""
        from av.error import FFmpegError

        for back in range(_BACK):
            key = self.times.key_before(number, back)
            if key is None:
                yield from self._from_beginning()
                return
            with suppress(FFmpegError):
                self._untouched = False
                self._container.seek(int(self.times.packets[key]), stream=self._stream)
                packets = self._container.demux(self._stream)
                # Containers without an index are left at any packet.
                first = next((packet for packet in packets if self.times.key_at(packet.pts) is not None), None)
                if first is not None and first.pts <= self.times.shown[number]:
                    yield from self._verified(first, packets)
                    return
        raise UnexpectedFrameError(sought=True)

    def _verified(self, first: Any, rest: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        """The frames, with their numbers, shown from the time of a key frame's packet."""
        times, begin = self.times, first.pts
        position, number = times.key_at(begin) or 0, int(np.searchsorted(times.shown, begin))
        for packet in chain([first], rest):
            if packet.size:
                if position >= len(times.packets) or packet.pts != times.packets[position]:
                    raise UnexpectedFrameError(sought=True)
                position += 1
            for frame in packet.decode():
                if frame.pts is not None and frame.pts < begin:
                    continue  # it refers to frames before the key frame
                right = number < len(times.shown) and frame.pts == times.shown[number]
                if not right or frame.is_corrupt or (frame.pts == begin and not frame.key_frame):
                    raise UnexpectedFrameError(sought=True)
                yield number, frame
                number += 1

    def picture(self, frame: Any) -> np.ndarray:
        """A frame as a player shows it, (H, W, 3) uint8, red, green and blue."""
        picture = self._reformatter.reformat(frame, *self.square_size(frame), "rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(turned(picture, self.turn(frame)))

    def turn(self, frame: Any) -> Turn:
        """How its frames have to be turned and mirrored."""
        if self._turn is None:
            try:
                self._turn = turn_of(frame)
            except ValueError as error:
                raise VideoReadError(self.path, str(error)) from None
        return self._turn

    def square_size(self, frame: Any) -> tuple[int, int]:
        """Width and height of a frame with square pixels, before it is turned."""
        return square_size(frame, self._stream.sample_aspect_ratio)

    @contextmanager
    def _as_one_error(self) -> Iterator[None]:
        """Turn an error of a decoder into ours; decoders also raise ValueError, IndexError and others."""
        try:
            yield
        except (DataError, MemoryError):
            raise
        except Exception as error:
            raise VideoReadError(self.path, reason_of(error)) from error


def forget() -> None:
    """Forget the times of all files, for a state as in a new process."""
    _REMEMBERED.clear()


def reason_of(error: Exception) -> str:
    """The first line of a decoder's message, without file names; or its meaning."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    if re.search(r"^\[Errno .*(Invalid data|End of file)", text):
        return "it is not a video, or damaged"
    return re.sub(r"^\[Errno \d+\] |: '.*'$", "", text)
