"""From streamed scores on the prepared grid to a label map, on that grid or on the grid of the file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid

Decision = Callable[[Tensor], Tensor]
"""Maps scores (labels, ...) to label ids (...)."""

EDGE = 1e-3
"""Slack, in voxels, for centres that lie on the outer face of the prepared volume but for the affine's rounding."""


def best_label(scores: Tensor) -> Tensor:
    """The label with the highest score (labels, ...), the first of equals.

    On the CPU, max is several times faster than argmax.
    """
    return scores.max(dim=0).indices.to(_label_type(len(scores)))


def thresholded(scores: Tensor) -> Tensor:
    """Label 1 where its logit is at least 0.5, whatever that of the background is, as MedT's code decides."""
    return (scores[1] >= 0.5).to(torch.uint8)


class PreparedLabels:
    """The label of each voxel of the prepared grid. Keeps labels only: one byte per voxel.

    Args:
        decide: maps scores (labels, ...) to label ids (...).
    """

    def __init__(self, decide: Decision = best_label) -> None:
        self._decide = decide
        self._slabs: list[Tensor] = []

    def add(self, slab: Tensor) -> None:
        """Take the next slab of scores (labels, *plane, depth)."""
        self._slabs.append(self._decide(slab))

    def labels(self) -> np.ndarray:
        """The label map of all slabs, on the host."""
        return torch.cat(self._slabs, dim=-1).cpu().numpy()


class NearestLabels(PreparedLabels):
    """On the file's own grid, the label of the prepared voxel that is nearest; outside of the prepared volume, 0.

    Where the grid is that of scipy's `zoom`, this is its order 0, with which TransUNet's test script resizes back.
    """

    def __init__(self, grid: Grid, decide: Decision = best_label) -> None:
        super().__init__(decide)
        self._grid = grid

    def labels(self) -> np.ndarray:
        """The label map of shape ``grid.native_shape``, on the host."""
        bordered = np.pad(super().labels(), (0, 1))  # index -1 is background
        nearest = np.ix_(*(_nearest(self._grid, axis) for axis in range(bordered.ndim)))
        return np.ascontiguousarray(bordered[nearest].transpose(np.argsort(self._grid.axes)))


class NativeLabels:
    """The label of each voxel of the file's own grid.

    Scores are interpolated linearly at the centres of the file's voxels, one axis after the other, and the label is
    decided there: borders are smoother, and closer to the truth, than those of a resampled label map. A voxel that
    lies outside of the prepared (cropped) volume is background; within half a voxel of its outermost centres, the
    outermost score counts.

    Besides the slab that is being added, it holds the native label map (one byte per voxel), one prepared plane of
    scores and, for a moment, three native planes of scores; never a volume of them.
    """

    def __init__(self, grid: Grid, decide: Decision = best_label) -> None:
        self._decide = decide
        self._axes = grid.axes
        self._shape = [grid.native_shape[axis] for axis in grid.axes]  # native lengths, in the order of prepared axes
        *self._in_plane, self._across = (_Taps.along(grid, axis) for axis in range(len(grid.axes)))
        self._planes = 0  # prepared planes seen
        self._previous: Tensor | None = None
        self._labels: Tensor | None = None

    def add(self, slab: Tensor) -> None:
        """Take the next slab of scores (labels, *plane, depth)."""
        if self._labels is None:
            self._in_plane = [taps.to(slab.device) for taps in self._in_plane]
            self._labels = torch.zeros(self._shape, dtype=_label_type(len(slab)), device=slab.device)
        for plane in slab.unbind(dim=-1):
            self._label_between(plane if self._previous is None else self._previous, plane)
            self._previous = plane
            self._planes += 1
        self._previous = slab[..., -1].clone()  # a view would keep the whole slab alive

    def labels(self) -> np.ndarray:
        """The label map of shape ``grid.native_shape``, on the host."""
        assert self._labels is not None, "no slab was added"
        native = self._labels.permute(*np.argsort(self._axes).tolist())
        return native.contiguous().cpu().numpy()

    def _label_between(self, lower: Tensor, upper: Tensor) -> None:
        """Label the native planes after lower, up to and with upper: two neighbouring prepared planes of scores."""
        assert self._labels is not None
        region = tuple(slice(taps.start, taps.start + len(taps.upper)) for taps in self._in_plane)
        for index in torch.nonzero(self._across.upper == self._planes).flatten().tolist():
            scores = torch.lerp(lower, upper, float(self._across.fraction[index]))
            for axis, taps in enumerate(self._in_plane, start=1):
                scores = taps.interpolate(scores, axis)
            self._labels[(*region, self._across.start + index)] = self._decide(scores)


@dataclass(frozen=True, slots=True)
class _Taps:
    """Linear interpolation along one axis, at native indices start, start + 1, ...

    Args:
        start: first native index inside of the prepared volume.
        upper: per native index, the prepared index at or just after it.
        fraction: weight of ``upper``, in (0, 1]; the rest goes to the index before.
    """

    start: int
    upper: Tensor
    fraction: Tensor

    @classmethod
    def along(cls, grid: Grid, axis: int) -> Self:
        """The taps along a prepared axis."""
        coordinates, is_inside = _coordinates(grid, axis)
        inside = np.flatnonzero(is_inside)
        coordinates = coordinates[inside].clip(0, grid.prepared_shape[axis] - 1)
        upper = np.ceil(coordinates)
        return cls(
            start=int(inside[0]) if len(inside) else 0,
            upper=torch.from_numpy(upper.astype(np.int64)),
            fraction=torch.from_numpy((1 - (upper - coordinates)).astype(np.float32)),
        )

    def to(self, device: torch.device) -> Self:
        return type(self)(self.start, self.upper.to(device), self.fraction.to(device))

    def interpolate(self, scores: Tensor, axis: int) -> Tensor:
        """Resample one axis of the scores."""
        lower = scores.index_select(axis, (self.upper - 1).clamp_(min=0))
        upper = scores.index_select(axis, self.upper)
        return torch.lerp(lower, upper, self.fraction.reshape(-1, *[1] * (scores.ndim - 1 - axis)))


def _coordinates(grid: Grid, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each native index along a prepared axis, its prepared coordinate, and whether that is inside."""
    coordinates = grid.scale[axis] * np.arange(grid.native_shape[grid.axes[axis]]) + grid.offset[axis]
    return coordinates, (coordinates >= -0.5 - EDGE) & (coordinates <= grid.prepared_shape[axis] - 0.5 + EDGE)


def _nearest(grid: Grid, axis: int) -> np.ndarray:
    """Of each native index along a prepared axis, the nearest prepared index; -1 outside of the prepared volume."""
    coordinates, inside = _coordinates(grid, axis)
    return np.where(inside, np.floor(coordinates + 0.5).clip(0, grid.prepared_shape[axis] - 1), -1).astype(np.intp)


def _label_type(labels: int) -> torch.dtype:
    return torch.uint8 if labels <= 256 else torch.uint16
