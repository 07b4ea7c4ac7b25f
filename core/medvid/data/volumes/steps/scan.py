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
        label: (*S) uint8 label ids, or unsigned bits of structures that may overlap; values (V, *S) float32; or None.
        content: (*S) bool, the voxels that are not air; None before a step has found them.
    """

    image: np.ndarray
    affine: np.ndarray
    label: np.ndarray | None = None
    content: np.ndarray | None = None

    @property
    def ids(self) -> np.ndarray | None:
        """The label, unless it is values."""
        return None if self.label is None or self.label.dtype.kind == "f" else self.label

    @property
    def shape(self) -> tuple[int, ...]:
        """S."""
        return self.image.shape[1:]

    def cut(self, box: Box) -> Self:
        """What lies in a box."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        label = self.label
        if label is not None:
            label = label[(slice(None),) * (label.ndim - len(box)) + box]
        content = None if self.content is None else self.content[box]
        return replace(self, image=self.image[:, *box], affine=affine, label=label, content=content)
