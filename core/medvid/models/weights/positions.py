"""Position tables of another grid than the model's."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from medvid.errors import CheckpointError

Mode = Literal["nearest", "linear", "bicubic"]
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def resize_positions(
    table: Tensor,
    old: Sequence[int],
    new: Sequence[int],
    mode: Mode,
    *,
    antialias: bool = False,
    align_corners: bool | None = None,
) -> Tensor:
    """Interpolate a table of positions from one grid to another; rows in front of the grid's (a class token's) stay.

    Args:
        table: (1, N, D), N at least prod(old), last axis of the grid fastest.
        old: the table's grid, of one to three axes.
        new: as many axes.
        mode: as `torch.nn.functional.interpolate` takes it, linear on each axis.
        antialias: as in `torch.nn.functional.interpolate`.
        align_corners: as in `torch.nn.functional.interpolate`.

    Returns:
        (1, N - prod(old) + prod(new), D).
    """
    if tuple(old) == tuple(new):
        return table
    first = table.shape[1] - math.prod(old)
    grid = table[:, first:].transpose(1, 2).reshape(1, -1, *old)  # 1, D, *old
    kind = _LINEAR[len(old)] if mode == "linear" else mode
    grid = functional.interpolate(grid, list(new), mode=kind, antialias=antialias, align_corners=align_corners)
    return torch.cat([table[:, :first], grid.flatten(2).transpose(1, 2)], dim=1)


def infer_grid(count: int, grid: Sequence[int], hint: str) -> tuple[int, ...]:
    """The grid of a file's positions: the model's where there are as many, otherwise one of equal sides.

    Args:
        count: positions in the file, without a class token's.
        grid: the model's.
        hint: what to do where the grid is unknown.

    Raises:
        CheckpointError: no such grid has as many positions.
    """
    found = tuple(grid) if count == math.prod(grid) else cubic_grid(count, len(grid))
    if found is None:
        raise unknown_grid(count, grid, hint)
    return found


def cubic_grid(count: int, rank: int) -> tuple[int, ...] | None:
    """The grid of so many axes, all equally long, that has that many positions, if there is one."""
    side = round(count ** (1 / rank))
    return (side,) * rank if side**rank == count else None


def unknown_grid(count: int, grid: Sequence[int], hint: str) -> CheckpointError:
    """The error of a file whose positions may be of several grids, or of none."""
    return CheckpointError(
        f"the file has positions for {count} patches, the model for {' x '.join(map(str, grid))}; their grid cannot "
        "be inferred from their count",
        hint=hint,
    )
