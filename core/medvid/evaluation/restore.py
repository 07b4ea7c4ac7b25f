"""From streamed scores on the prepared grid to a class, or labels, per voxel, on that grid or on that of the file."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid

Decision = Callable[[Tensor], Tensor]
"""Maps scores (labels, ...) to label ids (...), uint8; or, of labels that may overlap, to 0 and 1 (labels, ...)."""

AT_ONCE = 1 << 28
"""Bytes of scores of the native planes that a GPU labels at once."""
EDGE = 1e-3
"""Slack, in voxels, for centres that lie on the outer face of the prepared volume but for the affine's rounding."""

ROUNDING = 1e-6
"""Slack, in voxels, for centres half-way between two others, of which the later one is nearest."""


def best_label(scores: Tensor) -> Tensor:
    """The label with the highest score (labels, ...), the first of equals.

    On the CPU, max is several times faster than argmax.
    """
    return scores.max(dim=0).indices.to(torch.uint8)


def likely_labels(scores: Tensor) -> Tensor:
    """Each label whose score (labels, ...) is above 0, so its probability above a half."""
    return (scores > 0).to(torch.uint8)


class PreparedLabels:
    """The label of each voxel of the prepared grid. Keeps labels only: a byte per voxel, and label that may overlap.

    Args:
        decide: see `Decision`.
    """

    def __init__(self, decide: Decision = best_label) -> None:
        self._decide = decide
        self._slabs: list[Tensor] = []

    def add(self, slab: Tensor) -> None:
        """Take the next slab of scores (labels, *plane, depth)."""
        self._slabs.append(self._decide(slab))

    def to_host(self) -> None:
        """Wait for all slabs, and have their labels on the host."""
        self._slabs = [torch.cat(self._slabs, dim=-1).cpu()]

    def labels(self) -> np.ndarray:
        """The label map of all slabs."""
        self.to_host()
        return self._slabs[0].numpy()


class NearestLabels(PreparedLabels):
    """On the file's own grid, the label of the prepared voxel that is nearest; outside of the prepared volume, 0.

    Where the grid is that of scipy's `zoom`, this is its order 0.
    """

    def __init__(self, grid: Grid, decide: Decision = best_label) -> None:
        super().__init__(decide)
        self._grid = grid

    def labels(self) -> np.ndarray:
        """The label map of shape ``grid.native_shape``."""
        bordered = np.pad(super().labels(), (0, 1))  # index -1 is background
        nearest = np.ix_(*(_nearest(self._grid, axis) for axis in range(bordered.ndim)))
        return np.ascontiguousarray(bordered[nearest].transpose(np.argsort(self._grid.axes)))


class NativeLabels:
    """The label of each voxel of the file's own grid.

    Scores are interpolated linearly at the centres of the file's voxels, one axis after the other (along
    `Grid.nearest_axes`, the nearest ones are taken), and the label is decided there: borders are smoother, and closer
    to the truth, than those of a resampled label map. A voxel that lies outside of the prepared (cropped) volume is
    background; within half a voxel of its outermost centres, the outermost score counts.

    Besides the slab that is being added, it holds the native labels (one byte per voxel, and per label that may
    overlap), one prepared plane of scores and, for a moment, three times the scores of the native planes that are
    labelled at once: never a volume of them. On a CPU it is one plane, which caches hold best; elsewhere as many as
    `AT_ONCE` bytes hold, at least one.
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
            self._across = self._across.to(slab.device)
            self._labels = self._new(slab)
        depth, at_once = slab.shape[-1], self._planes_at_once(slab)
        previous = slab[..., :1] if self._previous is None else self._previous
        for native in self._between(0, 1, at_once):
            self._label(native, previous, slab[..., :1])
        for native in self._between(1, depth, at_once):
            self._label(native, *self._neighbours(native, slab))
        self._previous = slab[..., -1:].clone()  # a view would keep the whole slab alive
        self._planes += depth

    def to_host(self) -> None:
        """Wait for all slabs, and have their labels on the host."""
        assert self._labels is not None, "no slab was added"
        self._labels = self._labels.cpu()

    def labels(self) -> np.ndarray:
        """The label map of shape ``grid.native_shape``; of labels that may overlap, with them on an axis before."""
        self.to_host()
        return self._in_order().contiguous().numpy()

    def _in_order(self) -> Tensor:
        """A view with the axes of the file."""
        assert self._labels is not None, "no slab was added"
        first = self._labels.ndim - len(self._axes)
        order = (*range(first), *(first + np.argsort(self._axes)).tolist())
        return self._labels.permute(order)

    def _new(self, slab: Tensor) -> Tensor:
        """The native labels before any is decided, and so those outside of the prepared volume: background."""
        overlapping = self._decide(slab[..., :1]).shape[: -len(self._shape)]
        return torch.zeros((*overlapping, *self._shape), dtype=torch.uint8, device=slab.device)

    def _planes_at_once(self, slab: Tensor) -> int:
        if slab.device.type == "cpu":
            return 1
        return max(1, AT_ONCE // (4 * len(slab) * math.prod(self._shape[:-1])))

    def _between(self, first: int, stop: int, at_once: int) -> Iterator[slice]:
        """The native planes that lie between prepared planes of this slab: behind first - 1, up to stop - 1.

        Yields:
            Positions among the taps, which go up or down along the file: so they are neighbours.
        """
        known = self._across.known
        found = np.flatnonzero((known >= self._planes + first) & (known < self._planes + stop))
        for start in range(0, len(found), at_once):
            part = found[start : start + at_once]
            yield slice(int(part[0]), int(part[-1]) + 1)

    def _neighbours(self, native: slice, slab: Tensor) -> tuple[Tensor, Tensor]:
        """The prepared planes of a slab before and at native planes."""
        upper = self._across.known[native] - self._planes
        if len(upper) == 1:  # a view
            return slab[..., upper[0] - 1 : upper[0]], slab[..., upper[0] : upper[0] + 1]
        indices = self._across.upper[native] - self._planes
        return slab.index_select(-1, indices - 1), slab.index_select(-1, indices)

    def _label(self, native: slice, lower: Tensor, upper: Tensor) -> None:
        """Label native planes, from the scores of the prepared planes before and at them (labels, *plane, planes)."""
        assert self._labels is not None
        region = tuple(slice(taps.start, taps.start + len(taps.known)) for taps in self._in_plane)
        scores = torch.lerp(lower, upper, self._across.fraction[native])
        for axis, taps in enumerate(self._in_plane, start=1):
            scores = taps.interpolate(scores, axis)
        start = self._across.start
        planes = slice(start + native.start, start + native.stop)
        self._labels[(Ellipsis, *region, planes)] = self._decide(scores)  # type: ignore[index] # torch's stub


@dataclass(frozen=True, slots=True)
class _Taps:
    """Linear interpolation along one axis, at native indices start, start + 1, ...

    Args:
        start: first native index inside of the prepared volume.
        upper: per native index, the prepared index at or just after it.
        fraction: weight of ``upper``, in (0, 1]; the rest goes to the index before.
        known: ``upper``, for the host.
    """

    start: int
    upper: Tensor
    fraction: Tensor
    known: np.ndarray

    @classmethod
    def along(cls, grid: Grid, axis: int) -> Self:
        """The taps along a prepared axis."""
        coordinates, is_inside = _coordinates(grid, axis)
        inside = np.flatnonzero(is_inside)
        if axis in grid.nearest_axes:
            coordinates = np.floor(coordinates + 0.5 + ROUNDING)
        coordinates = coordinates[inside].clip(0, grid.prepared_shape[axis] - 1)
        upper = np.ceil(coordinates)
        known = upper.astype(np.int64)
        return cls(
            start=int(inside[0]) if len(inside) else 0,
            upper=torch.from_numpy(known),
            fraction=torch.from_numpy((1 - (upper - coordinates)).astype(np.float32)),
            known=known,
        )

    def to(self, device: torch.device) -> Self:
        upper, fraction = (one.to(device, non_blocking=True) for one in (self.upper, self.fraction))
        return replace(self, upper=upper, fraction=fraction)

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
