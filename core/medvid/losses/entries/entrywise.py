"""What losses have in common that are a mean over single labels or values."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from medvid.losses.entries.options import Weights
from medvid.losses.loss import Loss, in_full, weighted_mean
from medvid.plugin.info import TargetInfo


class Entrywise(Loss, ABC):
    """The weighted mean over all entries of a target of labels or values that are known, in float32 or better.

    A subclass says what an entry costs.

    Args:
        target_info: the labels or values, where they are, and whether any may be unknown.
        weights: of each label or value.
    """

    def __init__(self, target_info: TargetInfo, weights: Weights) -> None:
        super().__init__()
        self.info = target_info
        self.weights: Tensor | None
        self.register_buffer("weights", None if weights is None else torch.tensor(weights), persistent=False)

    @abstractmethod
    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each entry, of the shape of both; finite where they are."""

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits of labels or numbers of values, (B, L, *S) of voxels, (B, T, L) of frames, (B, L) of cases.
            target: of the same shape. Labels are 0, 1, a probability between, or below 0 where unknown; values are
                NaN where unknown.

        Returns:
            Scalars ``loss``, and ``weight``, the sum of the weights of known entries, where any may be unknown.
        """
        output = in_full(output)
        target = target.to(output.dtype)
        weights = output.new_ones(()) if self.weights is None else self.beside(self.weights, output)
        if not self.info.has_unknown:
            losses = self.entries(output, target)
            return {"loss": losses.mean() if self.weights is None else (losses * weights).mean() / weights.mean()}
        known = ~target.isnan() if self.info.what == "value" else target >= 0
        losses = self.entries(output.where(known, 0), target.where(known, 0))
        weights = known * weights
        return weighted_mean((losses * weights).sum(), weights.sum())

    def beside(self, values: Tensor, output: Tensor) -> Tensor:
        """Numbers of each label or value (L,), to be multiplied with what has the shape of an output."""
        axes = output.ndim - 2 if self.info.where == "voxel" else 0
        return values.to(output.dtype).view(-1, *[1] * axes)
