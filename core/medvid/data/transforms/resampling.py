"""The values of an image, and its labels, at places between its voxels: what turning and scaling does.

Places are p = matrix @ q, where q counts from the middle of the result, and p from the middle of the source, in voxels.
"""

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

_TIE = 5e-4
"""Indicators that differ by less are equal, and the nearest label is taken; rounding alone makes less of a difference
between voxels that lie at the same distance."""
_TOUCHED = 1e-4
"""Weight of unknown values from which on an interpolated one is unknown; less is rounding."""
_SLAB, _LARGE_SLAB = 1 << 17, 1 << 20
"""Voxels that are resampled at once: few enough for a processor's cache, and enough for a GPU to be busy."""


def cut_middle(source: Tensor, size: Sequence[int], fill: float = 0) -> Tensor:
    """The middle (..., *size) of a source (..., *S), with a fill where it is smaller."""
    for axis, length in enumerate(size, start=source.ndim - len(size)):
        start, given = source.shape[axis] // 2 - length // 2, source.shape[axis]
        source = source.narrow(axis, max(0, start), min(length, given - max(0, start)))
        if source.shape[axis] < length:
            before = max(0, -start)
            after = length - source.shape[axis] - before
            pads = [0, 0] * (source.ndim - 1 - axis) + [before, after]
            source = functional.pad(source, pads, value=fill)
    return source


def resample_linearly(image: Tensor, matrix: Tensor, size: Sequence[int]) -> Tensor:
    """Values by linear interpolation, 0 outside.

    Args:
        image: (C, *S), two or three axes.
        matrix: (axes, axes), see above.
        size: of the result (C, *size).
    """
    halves = torch.tensor(image.shape[1:]) / 2
    # x comes first in grids, and lengths are from -1 to 1.
    scaled = (matrix / halves[:, None]).flip(0)
    grid = _affine(scaled, torch.zeros(len(size)), _axes(size, image.device)).to(image.dtype)
    mode = "bilinear"
    sampled: Tensor = functional.grid_sample(image[None], grid.movedim(0, -1)[None], mode, align_corners=False)
    return sampled[0]


def resample_values(values: Tensor, matrix: Tensor, size: Sequence[int]) -> Tensor:
    """Values by linear interpolation; what touches unknown ones (NaN), or lies outside, is unknown.

    Args:
        values: (N, *S).
        matrix: (axes, axes), see above.
        size: of the result (N, *size).
    """
    known = ~values.isnan()
    numbers = resample_linearly(values.where(known, 0), matrix, size)
    weight = resample_linearly(known.to(values.dtype), matrix, size)
    return (numbers / weight).where(weight > 1 - _TOUCHED, torch.nan)


def resample_labels(
    labels: Tensor, matrix: Tensor, size: Sequence[int], outside: float = 0, *, sparse: bool | None = None
) -> Tensor:
    """The labels with the largest linearly interpolated indicator.

    Most places lie between voxels of one label: what is interpolated are the others.

    Args:
        labels: (N, *S): label maps, or masks, each on its own. Of other numbers it takes the nearest, unless some are
            equal.
        matrix: (axes, axes), see above.
        size: of the result (N, *size).
        outside: the label around the source.
        sparse: find the places between several labels first, whose number a GPU would have to wait for, and interpolate
            only those; default: on CPUs.
    """
    padded = functional.pad(labels, [1, 1] * len(size), value=outside)
    strides = padded.stride()[1:]
    corners = list(product((0, 1), repeat=len(size)))
    steps = [sum(side * stride for side, stride in zip(corner, strides, strict=True)) for corner in corners]
    sparse = labels.device.type == "cpu" if sparse is None else sparse
    maps, mixed_cells = padded.flatten(1), _mixed_cells(padded).flatten(1) if sparse else None
    first, *others = _axes(size, labels.device)
    middle = (torch.tensor(labels.shape[1:]) - 1) / 2
    slabs, planes = [], max(1, (_SLAB if sparse else _LARGE_SLAB) // math.prod(size[1:]))
    for part in torch.split(first, planes):
        places = _affine(matrix, middle, [part, *others]).flatten(1)
        cells = _cells(places, labels.shape[1:])
        at = _flat(cells, strides)
        if mixed_cells is None:
            around = torch.stack([maps.index_select(1, at + step) for step in steps], 1)
            slabs.append(torch.stack([_largest(each, corners, places, cells) for each in around]))
            continue
        slab = maps.index_select(1, at)
        number, mixed = mixed_cells.index_select(1, at).nonzero(as_tuple=True)
        if len(mixed):
            around = torch.stack([maps[number, at[mixed] + step] for step in steps])
            slab[number, mixed] = _largest(around, corners, places[:, mixed], cells[:, mixed])
        slabs.append(slab)
    return torch.cat(slabs, 1).view(-1, *size)


def _axes(size: Sequence[int], device: torch.device) -> list[Tensor]:
    """The places of voxels along each axis, from the middle."""
    return [torch.arange(length, device=device) - (length - 1) / 2 for length in size]


def _cells(places: Tensor, shape: Sequence[int]) -> Tensor:
    """Where the cell of each place begins, (axes, N); first moves what lies outside of `shape` next to it."""
    cells = []
    for place, length in zip(places, shape, strict=True):
        cells.append(place.clamp_(-1, length).floor().clamp_(max=length - 1))
    return torch.stack(cells)


def _flat(cells: Tensor, strides: Sequence[int]) -> Tensor:
    """Flat indices of cells (axes, N) in an array with one voxel more before the first."""
    at = torch.full(cells.shape[1:], sum(strides), dtype=torch.int32, device=cells.device)
    for cell, stride in zip(cells, strides, strict=True):
        at.add_(cell.int(), alpha=stride)
    return at


def _affine(matrix: Tensor, offset: Tensor, axes: Sequence[Tensor]) -> Tensor:
    """Matrix @ q + offset for all q of a grid, (axes, *size)."""
    rows = []
    for row, start in zip(matrix.tolist(), offset.tolist(), strict=True):
        terms = [
            (factor * axis).view(-1, *[1] * (len(axes) - 1 - number))
            for number, (factor, axis) in enumerate(zip(row, axes, strict=True))
        ]
        rows.append(sum(terms[1:], terms[0] + start))
    return torch.stack(rows)


def _mixed_cells(padded: Tensor) -> Tensor:
    """Of (N, *S), whether the voxels of the cell that begins with each differ."""
    mixed = torch.zeros(padded.shape, dtype=torch.bool)
    for axis, length in enumerate(padded.shape[1:], start=1):
        here, there = padded.narrow(axis, 0, length - 1), padded.narrow(axis, 1, length - 1)
        mixed.narrow(axis, 0, length - 1).logical_or_(here != there)
    for axis, length in enumerate(padded.shape[1:], start=1):
        mixed.narrow(axis, 0, length - 1).logical_or_(mixed.narrow(axis, 1, length - 1).clone())
    return mixed


def _largest(labels: Tensor, corners: Sequence[Sequence[int]], places: Tensor, cells: Tensor) -> Tensor:
    """The label at each place (N,) whose voxels have the largest weight; of equal ones that of the nearest voxel.

    Args:
        labels: of the voxels around, (corners, N).
        corners: which side of the cell they lie on along each axis, 0 or 1.
        places: (axes, N).
        cells: where their cells begin, (axes, N).
    """
    parts, sides = places - cells, (places.round() - cells).long()
    weights = torch.stack(
        [
            torch.stack([part if side else 1 - part for side, part in zip(corner, parts, strict=True)]).prod(0)
            for corner in corners
        ]
    )
    scores = torch.stack([((labels == label) * weights).sum(0) for label in labels])
    top = scores.max(0, keepdim=True)
    nearest = torch.zeros_like(top.indices)
    for side in sides:
        nearest = 2 * nearest + side
    chosen = torch.where(scores.gather(0, nearest) >= top.values - _TIE, nearest, top.indices)
    return labels.gather(0, chosen)[0]
