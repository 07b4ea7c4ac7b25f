"""When each frame of a video is shown, and where a decoder can start. Determined once per file, and remembered.

The reference is the frames, and their times, that FFmpeg returns when it decodes a file from beginning to end. The
times of a file's packets usually equal them, and reading those is cheap. If they are missing or turn out to differ, the
file is decoded once.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medvid.data.videos.sampling import Length

_KEPT = 4_000_000
"""Number of frames whose times a process remembers, 64 MB: twice those that are trained on in Cholec80."""

_TIMED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "mpegts", "mpeg", "ogg", "mxf", "nut"}
"""Containers, by FFmpeg's names, whose packets have the times at which they are shown, not only their order."""

_USUAL = Fraction(25)
"""Frames per second of a file that has neither times nor a rate."""

_TICKS = 1_000_000
"""Per second, of frames without a time base of their own."""

Source = Literal["packets", "frames", "order"]


@dataclass(frozen=True)
class FrameTimes:
    """The frames of a video in the order in which they are shown.

    Args:
        shown: when each frame is due, (N,) int64, in `unit`; of frames due at the same time the last one is seen.
        packets: times of the packets in file order, (M,) int64, in `unit`; empty if not all have one.
        keys: positions in `packets` at which a decoder can start, (K,) int64, ordered by time.
        unit: seconds.
        length: of the video.
        source: the origin of the times: the packets, the decoded frames, or neither; then frames have no times and are
            counted, at the constant rate of the file.
        decord: whether decord finds the same frames; None if not compared, see `medvid.data.videos.decord`.
    """

    shown: np.ndarray
    packets: np.ndarray
    keys: np.ndarray
    unit: Fraction
    length: Length
    source: Source
    decord: bool | None = None

    @cached_property
    def due(self) -> np.ndarray:
        """When each frame is due, in seconds from the first one, (N,) float64."""
        seconds: np.ndarray = (self.shown - self.shown[0]) * float(self.unit)
        return seconds

    def without_keys(self) -> "FrameTimes":
        """The same, but to be decoded from the beginning."""
        return replace(self, keys=self.keys[:0])

    def numbers_at(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the frames shown at given times, in seconds from the first frame."""
        numbers: np.ndarray = (np.searchsorted(self.due, times, side="right") - 1).clip(min=0)
        return numbers

    def key_at(self, time: int | None) -> int | None:
        """The position in `packets` of the key frame at a time, if there is one."""
        begins = self.packets[self.keys]
        place = int(np.searchsorted(begins, time)) if time is not None else len(begins)
        return int(self.keys[place]) if place < len(begins) and begins[place] == time else None

    @cached_property
    def begins_afresh(self) -> bool:
        """Whether no frame after a key frame in the file is shown before it, according to the packets."""
        if self.source != "packets" or 0 not in self.keys:
            return False
        earliest_behind = np.minimum.accumulate(self.packets[::-1])[::-1]
        return bool((self.packets[self.keys] == earliest_behind[self.keys]).all())

    @cached_property
    def reordered(self) -> int:
        """By how many positions packets are out of order."""
        order = np.argsort(self.packets)
        return int(np.abs(order - np.arange(len(order))).max()) if len(order) else 0

    def key_before(self, number: int, back: int = 0) -> int | None:
        """The position in `packets` of a key frame from which to decode a frame; None: the beginning.

        It lies far enough before the frame that wrong packet times would be noticed on the way, since one key frame
        alone could be mistaken for another.

        Args:
            number: of the frame.
            back: number of key frames to go back from the last usable one.
        """
        latest = self.shown[max(0, number - self.reordered)]
        place = int(np.searchsorted(self.packets[self.keys], latest, side="right")) - 1 - back
        return int(self.keys[place]) if place >= 0 else None


def even_times(count: int, rate: float) -> FrameTimes:
    """Frames at a constant rate, each of which can be decoded by itself."""
    return given_times(np.arange(count) / rate, rate)


def given_times(seconds: np.ndarray, rate: float) -> FrameTimes:
    """Frames at given times, each of which can be decoded by itself.

    Args:
        seconds: from the first frame, (N,), not decreasing.
        rate: frames per second, on average.
    """
    shown = np.rint(seconds * _TICKS).astype(np.int64)
    length = Length(float(seconds[-1]) + 1 / rate, rate)
    return FrameTimes(shown, shown, np.arange(len(shown)), Fraction(1, _TICKS), length, "frames")


def times_of_packets(container: Any, stream: Any) -> FrameTimes | None:
    """The times in the packets, without decoding; None if some are missing or two are equal.

    If the decoder reorders frames, but the container has no times for that, or only times in file order, then they are
    FFmpeg's guess and not used.

    Args:
        container: of PyAV, at its beginning; afterwards at its end.
        stream: one of its video streams.

    Raises:
        ValueError: the file ends within its last frame.
    """
    pts: list[int] = []
    keys: list[int] = []
    shown: dict[int, int] = {}
    complete = timed = True
    for packet in container.demux(stream):
        if not packet.size:
            continue  # the end of the file, or a repeated frame in AVI
        complete = not packet.is_corrupt
        if packet.pts is None:
            timed = False
            continue
        if packet.is_keyframe:
            keys.append(len(pts))
        if not packet.is_discard:  # frames cut off by an edit list are decoded but not shown
            shown[packet.pts] = packet.duration or 0
        pts.append(packet.pts)
    if not complete:
        raise ValueError("it is truncated: its last frame is not complete")
    packets = np.array(pts, np.int64)
    if not timed or not shown or len(np.unique(packets)) != len(packets):
        return None
    if stream.codec_context.has_b_frames and (container.format.name not in _TIMED or (np.diff(packets) > 0).all()):
        return None
    ordered = np.array(sorted(shown), np.int64)
    begins = np.array(sorted(keys, key=pts.__getitem__), np.int64)
    length = _length(ordered, stream.time_base, shown[int(ordered[-1])], _rate(stream))
    return FrameTimes(ordered, packets, begins, stream.time_base, length, "packets")


def times_of_frames(container: Any, stream: Any, packets: FrameTimes | None) -> FrameTimes | None:
    """The times from decoding the whole file; None if there are no frames.

    Args:
        container: of PyAV, at its beginning; afterwards at its end.
        stream: one of its video streams.
        packets: the times in the packets.
    """
    pts: list[int | None] = []
    last = 0
    for frame in container.decode(stream):
        pts.append(frame.pts)
        last = frame.duration or 0
    if not pts:
        return None
    rate, nothing = _rate(stream), np.empty(0, np.int64)
    known = [time for time in pts if time is not None]
    if len(known) < len(pts) or any(one > other for one, other in pairwise(known)):
        unit, shown = 1 / (rate or _USUAL), np.arange(len(pts), dtype=np.int64)
        return FrameTimes(shown, nothing, nothing, unit, _length(shown, unit, 1, rate), "order")
    shown = np.array(known, np.int64)
    length = _length(shown, stream.time_base, last, rate)
    given = packets or FrameTimes(shown, nothing, nothing, stream.time_base, length, "frames")
    return replace(given, shown=shown, length=length, source="frames")


class Remembered:
    """The times of the files that a process opened last, by their names, sizes and modification times."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, int], FrameTimes] = OrderedDict()
        self._frames = 0

    def get(self, path: Path) -> FrameTimes | None:
        key = _state(path)
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, path: Path, times: FrameTimes) -> None:
        key = _state(path)
        self._drop(key)
        self._known[key] = times
        self._frames += len(times.shown)
        while self._frames > _KEPT and len(self._known) > 1:
            self._drop(next(iter(self._known)))

    def clear(self) -> None:
        self._known.clear()
        self._frames = 0

    def _drop(self, key: tuple[str, int, int]) -> None:
        if key in self._known:
            self._frames -= len(self._known.pop(key).shown)


def _state(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return os.fspath(path), state.st_size, state.st_mtime_ns


def _rate(stream: Any) -> Fraction | None:
    """Frames per second, from the file or FFmpeg's guess."""
    rate = stream.average_rate or stream.guessed_rate
    return rate if rate and rate > 0 else None


def _length(shown: np.ndarray, unit: Fraction, last: int, rate: Fraction | None) -> Length:
    """Length from the times of the frames, and how long the last one is shown, in `unit`; 0: unknown."""
    span, steps = float((shown[-1] - shown[0]) * unit), len(shown) - 1
    fps = float(rate) if rate else 0.0
    if not fps or abs(fps * span - steps) >= 0.5:  # times are rounded; the rate in the file often is not
        fps = steps / span if steps else 1 / float(last * unit) if last else 1.0
    # The duration of the last frame is often missing or wrong.
    tail = float(last * unit)
    return Length(span + (tail if 0.5 < tail * fps < 2 else 1 / fps), fps)
