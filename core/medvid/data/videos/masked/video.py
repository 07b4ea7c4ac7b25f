"""What a data set knows of a segmented video before it is opened."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class FrameMasks(ABC):
    """Where the label maps of a video come from."""

    hint: str = ""
    """What to do where they are of frames that the video does not have."""

    @abstractmethod
    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        """The frames that have one, by their numbers from 0 in order, each with its groups, such as ED.

        Raises:
            DataError: files cannot be read, or contradict each other.
        """

    @abstractmethod
    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """The label map of a frame (H, W): uint8, or int16 where some are `UNKNOWN`.

        Args:
            number: of the frame, one of `annotated`.
            size: height and width of the frame.

        Raises:
            DataError: it cannot be read, or has another size.
        """

    @abstractmethod
    def digest(self) -> str:
        """A hash of all of them."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """What they are read from."""

    @property
    @abstractmethod
    def source(self) -> str:
        """That in words, for messages."""


class NoMasks(FrameMasks):
    """Of a new video."""

    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        """None."""
        return {}

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:  # noqa: ARG002 (there is none)
        """There is none."""
        raise LookupError(f"frame {number} has no label map")

    def digest(self) -> str:
        """Of nothing."""
        return ""

    @property
    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    @property
    def source(self) -> str:
        """Nothing."""
        return "no file"


@dataclass(frozen=True, slots=True)
class SegmentedVideo:
    """A video of the data set.

    Args:
        id: unique in its data set, and usable as a file name.
        path: its file.
        masks: its label maps.
        patient: whose it is; empty where nothing says so.
    """

    id: str
    path: Path
    masks: FrameMasks
    patient: str = ""
