"""What moves voxels moves all that lies on them: labels, where each voxel has one, and the mask."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from medvid.data.batch import Batch

Move = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
"""Changes an example (C, *S), and what lies on its voxels, each (..., *S), in the same way."""


def moved(batch: Batch, move: Move) -> Batch:
    """Move each example of a batch, with its labels if they are of voxels, and its mask if there is one."""
    has_labels = batch.target.ndim >= batch.input.ndim - 1
    maps = ([batch.target] if has_labels else []) + ([batch.mask] if batch.mask is not None else [])
    pairs = [move(example, list(on_it)) for example, *on_it in zip(batch.input, *maps, strict=True)]
    stacked = iter([torch.stack(each) for each in zip(*(on_it for _, on_it in pairs), strict=True)])
    return replace(
        batch,
        input=torch.stack([example for example, _ in pairs]),
        target=next(stacked) if has_labels else batch.target,
        mask=next(stacked) if batch.mask is not None else None,
    )
