"""A case between two steps of its preparation."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from medvid.data.volumes.steps.content import Box


@dataclass(frozen=True, slots=True)
class Scan:
    """A case on its way from files to what models see, with axes along R, A, S.

    Args:
        image: (C, *S) float32.
        affine: (4, 4), indices of S to mm.
        label: (*S) uint8 label ids, or unsigned bits of structures that may overlap; or None.
        content: (*S) bool, the voxels that are not air; None before a step has found them.
    """

    image: np.ndarray
    affine: np.ndarray
    label: np.ndarray | None = None
    content: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """S."""
        return self.image.shape[1:]

    def cut(self, box: Box) -> Self:
        """What lies in a box."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        label, content = (None if each is None else each[box] for each in (self.label, self.content))
        return replace(self, image=self.image[:, *box], affine=affine, label=label, content=content)
