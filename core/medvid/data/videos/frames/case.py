"""A video whose frames are annotated and answered one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.framed import FramedCase, filled
from medvid.data.videos.decoders import open_clip
from medvid.data.videos.frames.matching import seen_frames
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.data.videos.times import FrameTimes
from medvid.data.videos.transforms import centre, normalise, random_crop, to_clip

_SKIPPED = 32
"""Frames that are decoded on the way to a later one rather than sought over."""


class FramedVideo(FramedCase):
    """A video, see `medvid.data.framed.FramedCase`. It is decoded once, if later and later frames are asked for.

    Args:
        id: its name.
        path: its file.
        options: how it is read.
        patient: whose it is; empty where nobody says.
        hint: what to do if it cannot be read.
    """

    def __init__(self, id: str, path: Path, options: FramedVideoOptions, patient: str = "", hint: str = "") -> None:
        self.id, self.target, self.patient, self.sources = id, None, patient, (path,)
        self._path, self._options, self._hint = path, options, hint
        self._forward = _Forward(self._decoded_from)

    @cached_property
    def times(self) -> FrameTimes:
        """Of the frames of its file."""
        with open_clip(self._path, self._options, self._hint) as video:
            return video.times

    @cached_property
    def seen(self) -> np.ndarray:
        """Numbers of its frames in the file, (N,)."""
        return seen_frames(self.times, self._options.fps)

    @property
    def places(self) -> Mapping[str, Sequence[float]]:
        """Number of each frame at `fps`, and when it is shown, in seconds from the first one."""
        return {"frame": range(len(self.seen)), "time_s": self.times.due[self.seen].round(6).tolist()}

    @property
    def frame_count(self) -> int:
        return len(self.seen)

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        """Squares from the middle of its frames, (3, T, size, size) float32."""
        pictures = self._forward(filled(range(start, stop, step), self.frame_count))
        return normalise(torch.stack(pictures), self._options)

    def _decoded_from(self, first: int) -> Iterator[Tensor]:
        """The frames from one on, each (3, size, size) uint8."""
        with open_clip(self._path, self._options, self._hint) as video:
            for picture in video.in_order(self.times.due[self.seen[first:]]):
                yield centre(to_clip(np.stack([picture])), self._options)[0]


class DrawnVideo(FramedVideo):
    """A video of which one window is drawn to train on: only its frames are decoded, and cropped at random.

    Args:
        id: its name.
        path: its file.
        options: how it is read, and cropped.
        hint: what to do if it cannot be read.
        generator: decides where it is cropped.
    """

    def __init__(self, id: str, path: Path, options: FramedVideoOptions, hint: str, generator: torch.Generator) -> None:
        super().__init__(id, path, options, hint=hint)
        self._generator = generator

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        """Random parts of its frames, all the same one, (3, T, size, size) uint8."""
        wanted = self.seen[filled(range(start, stop, step), self.frame_count)]
        with open_clip(self._path, self._options, self._hint) as video:
            clip = to_clip(video.frames_at(self.times.due[wanted].tolist()))
        return random_crop(clip, self._options, self._generator).transpose(0, 1).contiguous()


class _Forward:
    """Pictures by their numbers, which are asked for in windows that begin later and later.

    Args:
        decode: the pictures from a number on.
    """

    def __init__(self, decode: Callable[[int], Iterator[Tensor]]) -> None:
        self._decode = decode
        self._kept: dict[int, Tensor] = {}
        self._next = 0
        self._stream: Iterator[Tensor] | None = None

    def __call__(self, numbers: Sequence[int]) -> list[Tensor]:
        """The pictures with these numbers, which do not decrease; those before the first are forgotten."""
        first, last = numbers[0], numbers[-1]
        self._kept = {number: picture for number, picture in self._kept.items() if number >= first}
        missed = first < self._next and first not in self._kept
        if self._stream is None or missed or first > self._next + _SKIPPED:
            self._kept, self._next, self._stream = {}, first, self._decode(first)
        while self._next <= last:
            picture = next(self._stream)
            if self._next >= first:
                self._kept[self._next] = picture
            self._next += 1
        return [self._kept[number] for number in numbers]
