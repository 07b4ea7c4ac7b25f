"""Which frames of a video form a clip: pure functions from its length to times.

Times are in seconds from the beginning of the first frame. A frame is shown from its own time until the next frame's,
so a time identifies a frame at any frame rate, even a varying one. `last` is the time of the last frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from medvid.data.placement import Placement

SamplingKind = Literal["clip", "segments"]
ShortPolicy = Literal["pad", "loop", "blank", "error"]
SHORT_HINT = "set dataset.short to pad or loop, or take it out"
"""The hint for a video that is too short, with `ShortPolicy` error."""
Draw = Callable[[], float]
"""Returns a random number, uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the frames of a clip are chosen; the fields are options of `ClipOptions`.

    With `target_fps` None `rate` counts frames of the file, and a training clip begins at one.
    """

    frames: int
    rate: float
    target_fps: float | None
    kind: SamplingKind = "clip"
    stretch: bool = False
    short: ShortPolicy = "pad"


@dataclass(frozen=True, slots=True)
class Length:
    """The length of a video.

    Args:
        duration: seconds from the beginning of its first frame to the end of its last.
        fps: frames per second, on average.
    """

    duration: float
    fps: float

    @property
    def last(self) -> float:
        """Time of the last frame."""
        return max(0.0, self.duration - 1 / self.fps)


def random_times(sampling: Sampling, length: Length, draw: Draw, speed: float = 1.0) -> list[float]:
    """Times of the frames of a training clip, whose start is uniform over the video.

    Args:
        sampling: how frames are chosen.
        length: of the video.
        draw: the only source of randomness.
        speed: factor of the clip's span.

    Raises:
        ValueError: the video is shorter than the clip, and `sampling.short` is error.
    """
    if sampling.kind == "segments":
        return [
            (first + int(draw() * (final - first + 1))) / length.fps
            for first, final in _segments(sampling.frames, length)
        ]
    span = span_of(sampling, length) * speed
    free = max(0.0, length.last - span)
    if sampling.target_fps is None:
        return _clip(sampling, length, span, int(draw() * (round(free * length.fps) + 1)) / length.fps)
    return _clip(sampling, length, span, draw() * free)


def placed_times(sampling: Sampling, length: Length, clips: int, placement: Placement) -> list[list[float]]:
    """Times of the frames of several clips for inference, see `medvid.data.placement.Placement`.

    With segments, clip i of n takes the frame at (i + 1/2) / n of each segment, so a single clip takes the middle ones.

    Raises:
        ValueError: the video is shorter than a clip, and `sampling.short` is error.
    """
    if sampling.kind == "segments":
        segments = _segments(sampling.frames, length)
        return [
            [(first + (final - first) * (2 * clip + 1) // (2 * clips)) / length.fps for first, final in segments]
            for clip in range(clips)
        ]
    span = span_of(sampling, length)
    free = max(0.0, length.last - span)
    return [_clip(sampling, length, span, start) for start in _starts(free, clips, placement)]


def all_times(sampling: Sampling, length: Length, stride: int) -> list[list[float]]:
    """Times of the frames of the clips that begin at every `stride`-th frame, as long as they end within the video.

    A clip of segments spans the whole video, so there is but one.

    Raises:
        ValueError: the video is shorter than a clip, and `sampling.short` is error.
    """
    if sampling.kind == "segments":
        return placed_times(sampling, length, 1, "segments")
    span = span_of(sampling, length)
    last = round(max(0.0, length.last - span) * length.fps)
    return [_clip(sampling, length, span, start / length.fps) for start in range(0, last + 1, stride)]


def span_of(sampling: Sampling, length: Length) -> float:
    """Seconds from the first to the last frame of a clip."""
    fps = sampling.target_fps or length.fps
    if sampling.stretch:
        return max(0.0, sampling.frames * sampling.rate / fps - 1 / length.fps)
    return (sampling.frames - 1) * sampling.rate / fps


def _starts(free: float, clips: int, placement: Placement) -> list[float]:
    if placement == "segments":
        return [free * clip / clips for clip in range(clips)]
    return [free / 2] if clips == 1 else [free * clip / (clips - 1) for clip in range(clips)]


def _clip(sampling: Sampling, length: Length, span: float, start: float) -> list[float]:
    step = span / max(1, sampling.frames - 1)
    times = [start + step * frame for frame in range(sampling.frames)]
    if times[-1] < length.last + 1 / length.fps:  # up to the end of the last frame
        return times
    match sampling.short:
        case "pad":
            return [min(time, length.last) for time in times]
        case "loop":
            return [time % length.duration for time in times]
        case "blank":
            return times
        case "error":
            raise ValueError(f"it lasts {length.duration:.2f} s, less than the {span + 1 / length.fps:.2f} s of a clip")


def _segments(frames: int, length: Length) -> list[tuple[int, int]]:
    """First and last frame of each of equal parts of a video, counted at its average rate and rounded as published."""
    size = (max(1, round(length.duration * length.fps)) - 1) / frames
    return [(round(size * part), round(size * (part + 1))) for part in range(frames)]
