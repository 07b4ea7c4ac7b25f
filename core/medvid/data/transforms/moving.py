"""Examples of a batch changed one by one; what moves voxels moves all that lies on them: labels, and the mask."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from medvid.data.batch import Batch

Move = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
"""Changes an example (C, *S), and what lies on its voxels, each (..., *S), in the same way."""


def together(parts: Sequence[Tensor]) -> Tensor:
    """As `torch.stack`, but a single one is not copied."""
    return parts[0][None] if len(parts) == 1 else torch.stack(list(parts))


def changed_each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """A batch with the input (C, *S) of each example changed; itself where none is."""
    examples = list(batch.input)
    changed = [change(example) for example in examples]
    is_changed = any(new is not old for new, old in zip(changed, examples, strict=True))
    return replace(batch, input=together(changed)) if is_changed else batch


def moved(batch: Batch, move: Move) -> Batch:
    """Move each example of a batch, with its labels if they are of voxels, and its mask if there is one."""
    has_labels = batch.target.ndim >= batch.input.ndim - 1
    maps = ([batch.target] if has_labels else []) + ([batch.mask] if batch.mask is not None else [])
    pairs = [move(example, list(on_it)) for example, *on_it in zip(batch.input, *maps, strict=True)]
    stacked = iter([together(each) for each in zip(*(on_it for _, on_it in pairs), strict=True)])
    return replace(
        batch,
        input=together([example for example, _ in pairs]),
        target=next(stacked) if has_labels else batch.target,
        mask=next(stacked) if batch.mask is not None else None,
    )
