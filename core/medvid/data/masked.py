"""Videos of which some frames have a label map: the contract."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import Axes


class MaskedVideo(ABC):
    """A video of any number of frames, of which some have a label map, and each gets one.

    It is inferred window by window and written frame by frame, so that never all frames are in memory. As a
    `medvid.data.dataset.SegmentationCase` it can also be read whole, which is for short ones.
    """

    id: str
    """Its name."""
    axes: ClassVar[Axes] = "video"
    display_window: ClassVar[None] = None
    """Frames are shown as they are."""

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """How the prepared frames (T, H, W) lie on those of the file: as many of them, in the same order.

        The native spacing is the mean time between two frames in seconds, then the height and width of a pixel.
        """

    @property
    @abstractmethod
    def times(self) -> Sequence[float]:
        """When each frame is shown, in seconds from the first one."""

    @property
    @abstractmethod
    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        """The frames that have a label map, by their numbers from 0 in order, each with its groups, such as ED."""

    @abstractmethod
    def read(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Prepared frames (C, H, W) float32, decoded once.

        Args:
            numbers: of frames, none before the one that it follows. What lies before the first frame, or behind the
                last, is that frame.
        """

    @abstractmethod
    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames of the file, (H, W, 3) uint8; numbers as in `read`."""

    @abstractmethod
    def frame_truth(self, number: int) -> np.ndarray:
        """The label map of an annotated frame, on the file's grid: (H, W) uint8, or int16 where some are `UNKNOWN`."""

    @abstractmethod
    def prepared_frame_truth(self, number: int) -> np.ndarray:
        """Likewise, on the prepared grid."""

    @abstractmethod
    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write label maps (T, H, W) uint8, perhaps on the disk, see `medvid.data.dataset.SegmentationCase.write`."""

    @abstractmethod
    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write probabilities (L, T, H, W) uint8, see `medvid.data.dataset.SegmentationCase.write_probabilities`."""

    @property
    def frame_count(self) -> int:
        """How many frames it has, T."""
        return self.grid.native_shape[0]

    def input(self) -> Tensor:
        """All prepared frames (C, T, H, W)."""
        return torch.stack([*self.read(range(self.frame_count))], dim=1)

    def native_input(self) -> np.ndarray:
        """All frames (T, H, W, 3) uint8."""
        return np.stack([*self.pictures(range(self.frame_count))])

    def native_truth(self) -> np.ndarray:
        """The label maps (T, H, W) int16, `UNKNOWN` in all frames that have none."""
        truth = np.full(self.grid.native_shape, UNKNOWN, np.int16)
        for number in self.annotated:
            truth[number] = self.frame_truth(number)
        return truth

    def prepared_truth(self) -> np.ndarray:
        """As `native_truth`, on the prepared grid."""
        truth = np.full(self.grid.prepared_shape, UNKNOWN, np.int16)
        for number in self.annotated:
            truth[number] = self.prepared_frame_truth(number)
        return truth
