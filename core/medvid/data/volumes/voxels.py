"""Sets of voxels that one is drawn from, as bits: an eighth of a byte per voxel of the volume, few of them read."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_BLOCK = 4096
"""Voxels that are counted together."""
_BITS, _COUNT = _BLOCK // 8, 8
"""Bytes of a block, and of its count."""


@dataclass(frozen=True, slots=True)
class VoxelSet:
    """Some voxels of a volume, numbered in C order. Reading one reads its block, not the volume.

    Args:
        packed: (bytes) uint8: how many are in the blocks up to each one (int64), and then their bits.
    """

    packed: np.ndarray

    @classmethod
    def where(cls, mask: np.ndarray) -> Self:
        """The voxels (*S) that are True."""
        flat = mask.reshape(-1)
        flat = np.pad(flat, (0, -len(flat) % _BLOCK))
        counts = flat.reshape(-1, _BLOCK).sum(axis=1, dtype=np.int64).cumsum()
        return cls(np.concatenate([counts.view(np.uint8), np.packbits(flat)]))

    def __len__(self) -> int:
        counts = self._counts
        return int(counts[-1]) if len(counts) else 0

    def __getitem__(self, number: int) -> int:
        """The flat index, in C order, of a voxel.

        Raises:
            IndexError: there are fewer.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"voxel {number} of {len(self)}")
        counts = self._counts
        block = int(np.searchsorted(counts, number, side="right"))
        before = int(counts[block - 1]) if block else 0
        within = np.flatnonzero(np.unpackbits(self._bits[block * _BITS : (block + 1) * _BITS]))
        return block * _BLOCK + int(within[number - before])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All flat indices, in ascending order."""
        return np.flatnonzero(np.unpackbits(self._bits)).astype(np.uint32 if dtype is None else dtype)

    @property
    def _counts(self) -> np.ndarray:
        return self.packed[: len(self.packed) // (_BITS + _COUNT) * _COUNT].view(np.int64)

    @property
    def _bits(self) -> np.ndarray:
        return self.packed[len(self.packed) // (_BITS + _COUNT) * _COUNT :]
