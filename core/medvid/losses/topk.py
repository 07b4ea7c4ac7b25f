"""Cross entropy of the hardest voxels."""

import torch
from torch import Tensor

from medvid.losses.likelihood import log_likelihood
from medvid.losses.loss import Loss, in_full, weighted_mean
from medvid.losses.options import TopKOptions
from medvid.plugin.info import UNKNOWN, TargetInfo


class TopK(Loss):
    """Cross entropy of softmax, the mean over the voxels in which it is highest (Wu et al., 2016), at least in float32.

    Args:
        options: how many these are.
        target_info: the classes, and whether any may be unknown.
    """

    def __init__(self, options: TopKOptions, target_info: TargetInfo) -> None:
        super().__init__()
        self.share, self.is_batch, self.info = options.share, options.batch, target_info

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits (B, labels, *S), of any floating type.
            target: label ids (B, *S), int64.

        Returns:
            Scalar ``loss``; where labels may be unknown also ``weight``, the number of examples with any that is known.
        """
        losses = -log_likelihood(in_full(output).log_softmax(1), target, self.info)
        rows = (1, -1) if self.is_batch else (len(output), -1)
        losses, known = losses.reshape(rows), (target != UNKNOWN).reshape(rows)
        if not self.info.has_unknown:
            number = max(1, int(losses.shape[1] * self.share))
            return {"loss": losses.topk(number, sorted=False).values.mean()}
        counts = known.sum(1, keepdim=True)
        numbers = torch.where(counts > 0, (counts * self.share).long().clamp_min(1), 0)
        ranked = losses.where(known, -torch.inf).sort(descending=True).values
        chosen = torch.arange(ranked.shape[1], device=ranked.device) < numbers
        means = ranked.where(chosen, 0).sum(1, keepdim=True) / numbers.clamp_min(1)
        mean = weighted_mean(means.sum(), (counts > 0).sum().to(means.dtype))
        return {"loss": mean["loss"]} if self.is_batch else mean
