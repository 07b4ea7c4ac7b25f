"""What losses have in common that are one less an overlap of prediction and truth."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from medvid.devices.whole_batch import is_shared
from medvid.losses.loss import Loss
from medvid.losses.options import OverlapOptions
from medvid.losses.voxel_sums import VoxelSums
from medvid.plugin.info import TargetInfo


class OverlapLoss(Loss, ABC):
    """Base of losses of voxels; a subclass says what the overlap is.

    Args:
        options: over what it is taken.
        target_info: the labels, classes or independent ones, and whether any may be unknown.
        include_background: let the first label take part.
        counts_all: count examples and labels of which nothing is known as if they were known to be empty.
    """

    def __init__(
        self, options: OverlapOptions, target_info: TargetInfo, *, include_background: bool, counts_all: bool = False
    ) -> None:
        super().__init__()
        self.info, self.is_batch, self.counts_all = target_info, options.batch, counts_all
        self.first = 0 if include_background else 1

    @abstractmethod
    def index(self, intersection: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """The overlap of each label, 1 where prediction and truth agree, from the rows of `VoxelSums.overlap`."""

    def disagreement(self, sums: VoxelSums) -> Tensor:
        """One less the mean overlap of labels, in each example or in the whole batch, where they have one."""
        overlap, defined = sums.overlap[..., self.first :], sums.defined
        defined = None if defined is None or self.counts_all else defined[:, self.first :]
        if self.is_batch:
            overlap, defined = self._of_batch(overlap, defined, sums)
        index = self.index(*overlap.unbind(1))
        if defined is None:
            return 1 - index.mean()
        each = (1 - index).where(defined, 0).sum(1) / defined.sum(1).clamp_min(1)
        return each.sum() if self.is_batch else each.sum() / self.examples(sums).clamp_min(1)

    def _of_batch(self, overlap: Tensor, defined: Tensor | None, sums: VoxelSums) -> tuple[Tensor, Tensor | None]:
        rows = overlap if defined is None else torch.cat([overlap, defined.unsqueeze(1).to(overlap.dtype)], dim=1)
        rows = over_processes(rows.sum(0, keepdim=True), self.examples(sums))
        return rows[:, :3], None if defined is None else rows[:, 3] > 0

    def examples(self, sums: VoxelSums) -> Tensor:
        """The number of examples that the loss is a mean over."""
        if sums.known is None or self.counts_all:
            return sums.overlap.new_full((), len(sums.overlap))
        return (sums.known > 0).sum().to(sums.overlap.dtype)

    def weight(self, sums: VoxelSums) -> dict[str, Tensor]:
        """That number, for the training loop, where it is not that of the batch."""
        return {} if sums.known is None or self.counts_all else {"weight": self.examples(sums)}


def over_processes(sums: Tensor, examples: Tensor) -> Tensor:
    """The sums over the examples of all processes that train together.

    Each process only follows its own back, as often as there are such parts in the whole batch, since the gradients of
    all processes are averaged, weighted by their examples.

    Args:
        sums: of this process.
        examples: a scalar, by which the loss of this process is weighted.
    """
    if not is_shared(sums):
        return sums
    everywhere = torch.cat([sums.detach().flatten(), examples.reshape(1)])
    torch.distributed.all_reduce(everywhere)
    total, parts = everywhere[:-1].view_as(sums), everywhere[-1] / examples.clamp_min(1)
    return total + parts * (sums - sums.detach())
