"""The probability of each label at each voxel of a file's own grid, kept on the disk while it is made."""

import tempfile
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid
from medvid.data.output import PROBABILITY_STEPS
from medvid.evaluation.restore import NativeLabels
from medvid.files import writing
from medvid.plugin.info import TargetInfo


class NativeProbabilities(NativeLabels):
    """Probabilities as bytes, in steps of 1 / `PROBABILITY_STEPS`: softmax or sigmoid of the scores of `NativeLabels`.

    They are as many bytes as labels x voxels, in a temporary file (TMPDIR), of which memory holds what it has room for.
    A voxel that lies outside of the prepared volume is background for certain.

    Args:
        grid: of the case.
        target_info: classes, the background first, or labels that may overlap.
    """

    def __init__(self, grid: Grid, target_info: TargetInfo) -> None:
        self._exclusive = target_info.what == "class"
        super().__init__(grid, self._probabilities)

    def values(self) -> np.ndarray:
        """The bytes, (labels, ``*grid.native_shape``): a view of the file."""
        return self._in_order().numpy()

    def _probabilities(self, scores: Tensor) -> Tensor:
        values = scores.softmax(dim=0) if self._exclusive else scores.sigmoid()
        return (values * PROBABILITY_STEPS).round_().to(torch.uint8)

    def _new(self, slab: Tensor) -> Tensor:
        size, certain = prod(self._shape), bytes([PROBABILITY_STEPS if self._exclusive else 0])
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            for label in range(len(slab)):  # written, not only declared: a full disk is an error here, and not a crash
                file.write((bytes(1) if label else certain) * size)
            file.flush()
            return torch.from_numpy(np.memmap(file, np.uint8, "r+", shape=(len(slab), *self._shape)))
