"""A predicted label map beside the true one, of which some may be unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Self

import numpy as np

from medvid.plugin.info import UNKNOWN


@dataclass(frozen=True, slots=True)
class LabelMaps:
    """Label ids of prediction and truth.

    Args:
        prediction: (*S) ids.
        truth: (*S) ids; what stands at unknown voxels does not matter.
        names: by id.
        unknown: (*S) bool, voxels that nobody has annotated, if there may be any.
        undrawn: as bits, the ids of labels that nobody drew in this case.
    """

    prediction: np.ndarray
    truth: np.ndarray
    names: Sequence[str]
    unknown: np.ndarray | None = None
    undrawn: int = 0

    @classmethod
    def of(cls, prediction: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Self:
        """Beside a truth as data sets have it, with `UNKNOWN` and what `medvid.plugin.info.none_of` makes.

        Where only some labels were drawn, a voxel of none of them is background for these.
        """
        if truth.dtype.kind != "i":
            return cls(prediction, truth, names)
        partial = np.unique(truth[truth < UNKNOWN]).tolist()
        known = np.where(truth < UNKNOWN, 0, truth) if partial else truth
        return cls(prediction, known, names, truth == UNKNOWN, reduce(or_, partial, 0))

    def united(self, name: str, ids: Sequence[int]) -> Self:
        """A region of several labels as label 1."""
        prediction, truth = (np.isin(ids_of, ids).astype(np.uint8) for ids_of in (self.prediction, self.truth))
        undrawn = 0 if self.is_drawn(ids) else 2
        return replace(self, prediction=prediction, truth=truth, names=("", name), undrawn=undrawn)

    def in_plane(self, spacing: Sequence[float]) -> tuple[Self, tuple[float, ...]]:
        """Without axes of one voxel, and the spacing of the others: one slice has the borders of a plane."""
        axes = tuple(axis for axis, length in enumerate(self.truth.shape) if length == 1)
        maps = replace(
            self,
            prediction=self.prediction.squeeze(axes),
            truth=self.truth.squeeze(axes),
            unknown=None if self.unknown is None else self.unknown.squeeze(axes),
        )
        return maps, tuple(step for axis, step in enumerate(spacing) if axis not in axes)

    def is_drawn(self, ids: Sequence[int]) -> bool:
        """Whether the case says of all these labels where they are."""
        return not any(self.undrawn >> label & 1 for label in ids)

    def is_annotated(self, label: int) -> bool:
        """Whether anything is known of a label."""
        return self.is_drawn([label]) and (self.unknown is None or not self.unknown.all())

    def masks(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and truth of a label, false at unknown voxels."""
        prediction, truth = self.prediction == label, self.truth == label
        return (prediction, truth) if self.unknown is None else (prediction & ~self.unknown, truth & ~self.unknown)
