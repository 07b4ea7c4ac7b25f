"""An open video, whatever its frames are stored as: the contract of readers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medvid.data.videos.sampling import Length
from medvid.data.videos.times import FrameTimes


class Video(ABC):
    """An open video, whose frames are asked for by their time.

    Open it where it is used, in the loader process, and close it there: it neither survives a fork nor can be pickled.
    """

    path: Path
    """Its file, or the folder of its frames."""
    times: FrameTimes
    """When its frames are shown."""

    @property
    def length(self) -> Length:
        """Its duration and frame rate."""
        return self.times.length

    @property
    @abstractmethod
    def notes(self) -> Sequence[str]:
        """What is odd about it, or assumed, but not an error; each goes on after "each of N videos"."""

    @abstractmethod
    def frames_at(self, times: Sequence[float]) -> np.ndarray:
        """The frames shown at these times, (N, H, W, 3) uint8, red, green and blue.

        A frame is shown until the next one is due; times before the first or after the last frame mean that frame.

        Args:
            times: in seconds from the beginning of the first frame, in any order.

        Raises:
            VideoReadError: they cannot be decoded.
        """

    @abstractmethod
    def in_order(self, times: Sequence[float]) -> Iterator[np.ndarray]:
        """As `frames_at`, one by one: decoded once, and none is kept. Nothing else may be read meanwhile.

        Args:
            times: none is earlier than the one before it.

        Yields:
            A frame (H, W, 3) uint8 for each time; equal ones may be the same array.

        Raises:
            VideoReadError: they cannot be decoded.
        """

    @abstractmethod
    def check_all(self) -> None:
        """Decode every frame.

        Raises:
            VideoReadError: the first that cannot be decoded, or frames of different sizes.
        """

    def close(self) -> None:  # noqa: B027 (most hold nothing open)
        """Let go of its file."""

    def within(self, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """Times from the first frame on. Containers round them, so a frame that is due a moment later is meant."""
        return np.maximum(np.asarray(times, dtype=np.float64), 0) + min(0.001, 0.25 / self.length.fps)
