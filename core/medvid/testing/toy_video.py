"""A video in memory, all of whose frames have a label map."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from medvid.data.grid import Grid
from medvid.data.masked import MaskedVideo


@dataclass(frozen=True)
class ToyVideo(MaskedVideo):
    """See `medvid.data.masked.MaskedVideo`; its files are .npy.

    Args:
        id: its name.
        prepared: its frames (C, T, H, W).
        target: their label maps (T, H, W).
    """

    id: str
    prepared: Tensor
    target: Tensor

    @property
    def grid(self) -> Grid:
        """Files and prepared arrays are the same, at 25 frames per second."""
        size = tuple(self.prepared.shape[1:])
        return Grid(size, (0.04, 1.0, 1.0), size, (0.04, 1.0, 1.0), (0, 1, 2), (1.0,) * 3, (0.0,) * 3)

    @property
    def times(self) -> Sequence[float]:
        return [0.04 * number for number in range(self.frame_count)]

    @property
    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        return dict.fromkeys(range(self.frame_count), ())

    def read(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        return (self.prepared[:, min(max(number, 0), self.frame_count - 1)] for number in numbers)

    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """The first channel, brighter."""
        for frame in self.read(numbers):
            yield np.repeat((frame[0].numpy() * 60).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def frame_truth(self, number: int) -> np.ndarray:
        truth: np.ndarray = self.target[number].byte().numpy()
        return truth

    def prepared_frame_truth(self, number: int) -> np.ndarray:
        return self.frame_truth(number)

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        path = folder / f"{self.id.replace('/', '_')}.npy"
        np.save(path, labels)
        return (path,)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return self.write(probabilities, folder)
