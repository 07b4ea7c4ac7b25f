"""Cases whose frames, or slices, are annotated one by one: the contract, and training examples of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from medvid.config.axes import SLICES
from medvid.data.batch import Batch
from medvid.data.targets import unknown_target
from medvid.plugin.info import Answered, InputInfo, TargetInfo

PLACES = {"slice": "position_mm", "frame": "time_s"}
"""How tables call the number of a slice or frame, from 0, and where it lies."""


class FramedCase(ABC):
    """A video or a volume of any number of frames or slices, each with an annotation and an answer of its own.

    It is inferred window by window, so only the frames that are asked for need be read.
    """

    id: str
    """Its name."""
    target: Tensor | None
    """Classes (N,), labels (N, L) or values (N, V) of its N frames; None for a case without annotation."""

    @property
    @abstractmethod
    def places(self) -> Mapping[str, Sequence[float]]:
        """Number and place of its N frames, by the two columns of `PLACES`."""

    @abstractmethod
    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        """Frames start, start + step, ... before stop, as (C, *S), float32.

        Who infers a case asks for later and later ones, so that a video is decoded once.

        Args:
            start: the first one. What lies before the case is filled with its first frame, so it may be below 0.
            stop: behind the last one. What lies behind the case is filled with its last frame.
            step: their distance.
        """

    @property
    def frame_count(self) -> int:
        """How many frames it has, N."""
        return len(next(iter(self.places.values())))

    def input(self) -> Tensor:
        """All frames (C, *S), float32."""
        return self.frames(0, self.frame_count)


def filled(window: range, count: int) -> list[int]:
    """The frames of a window, by their numbers, over a case of so many: beyond an end they are that at the end."""
    return [min(max(number, 0), count - 1) for number in window]


def window_at(start: int, given: InputInfo) -> range:
    """The frames of the window that begins there, by their numbers; some may lie beyond the case."""
    return range(start, start + given.size[SLICES[given.axes]] * given.step, given.step)


def answered_place(answered: Answered, length: int) -> int:
    """The place in a window of the one frame that it answers, from 0."""
    return {"last": length - 1, "centre": length // 2}[answered]


def draw_window(case: FramedCase, given: InputInfo, info: TargetInfo, generator: torch.Generator) -> Batch:
    """A window from anywhere in a case: frames with known targets are no likelier than others.

    Where it answers one frame, that may be any of the case, and the others of the window are unknown. Otherwise it lies
    within the case, if that is as long.

    Args:
        case: the case; frames of the window that lie beyond it are unknown.
        given: says what a window is.
        info: what the frames are annotated with; may be unknown where windows answer one frame, or cases are shorter.
        generator: decides where.
    """
    length, span, count = len(window := window_at(0, given)), window[-1] + 1, case.frame_count
    places = range(length)
    if given.answered == "all":
        start = int(torch.randint(max(count - span, 0) + 1, (), generator=generator))
    else:
        place = answered_place(given.answered, length)
        start = int(torch.randint(count, (), generator=generator)) - window[place]
        places = range(place, place + 1)
    window = window_at(start, given)
    target = unknown_target(info).repeat(length, *(1 for _ in unknown_target(info).shape))
    if case.target is not None:
        known = [place for place in places if 0 <= window[place] < count]
        target[known] = case.target[[window[place] for place in known]]
    return Batch(case.frames(window.start, window.stop, window.step)[None], target[None], (case.id,))
