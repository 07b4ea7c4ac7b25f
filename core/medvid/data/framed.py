"""Cases whose frames, or slices, are annotated one by one: the contract, and training examples of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.targets import unknown_target
from medvid.plugin.info import TargetInfo

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
    def frames(self, start: int, stop: int) -> Tensor:
        """Frames (C, *S), stop - start of them, float32.

        Args:
            start: the first one; who infers a case asks for later and later ones, so that a video is decoded once.
            stop: behind the last one; what lies beyond the case is filled as in training.
        """

    @property
    def frame_count(self) -> int:
        """How many frames it has, N."""
        return len(next(iter(self.places.values())))

    def input(self) -> Tensor:
        """All frames (C, *S), float32."""
        return self.frames(0, self.frame_count)


def draw_window(case: FramedCase, length: int, info: TargetInfo, generator: torch.Generator) -> Batch:
    """An example of `length` frames from anywhere in a case, those with known targets no likelier than others.

    Args:
        case: the case; of a shorter one the frames that it lacks are unknown.
        length: of the window.
        info: what the frames are annotated with.
        generator: decides where.
    """
    start = int(torch.randint(max(case.frame_count - length, 0) + 1, (), generator=generator))
    target = unknown_target(info).repeat(length, *(1 for _ in unknown_target(info).shape))
    if case.target is not None:
        known = case.target[start : start + length]
        target[: len(known)] = known
    return Batch(case.frames(start, start + length)[None], target[None], (case.id,))
