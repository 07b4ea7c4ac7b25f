"""Named structures on the grid of a scan, from segmentations and contours; they may overlap."""

from dataclasses import dataclass, field

import numpy as np

_HALF = 0.5  # of a voxel: more makes it part of a structure


@dataclass(frozen=True, slots=True)
class Structure:
    """One of them.

    Args:
        number: its number in the file, from 1.
        name: what its maker calls it.
        voxels: (3, n): indices of its voxels on the scan's grid.
        fractions: (n,): how much of each is part of it, in (0, 1]; None: all of it.
    """

    number: int
    name: str
    voxels: np.ndarray = field(default_factory=lambda: np.empty((3, 0), np.int64))
    fractions: np.ndarray | None = None

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """Its voxels as a bool array; of fractions, those from one half."""
        mask = np.zeros(shape, bool)
        inside = slice(None) if self.fractions is None else self.fractions >= _HALF
        mask[tuple(self.voxels[:, inside])] = True
        return mask

    def part(self, shape: tuple[int, ...]) -> np.ndarray:
        """How much of each voxel is part of it, float32."""
        part = np.zeros(shape, np.float32)
        part[tuple(self.voxels)] = 1 if self.fractions is None else self.fractions
        return part
