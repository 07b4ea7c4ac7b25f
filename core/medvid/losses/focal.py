"""Focal loss: cross entropy in which what is told easily counts little."""

import torch
from torch import Tensor
from torch.nn import functional

from medvid.losses.entries.entrywise import Entrywise
from medvid.losses.likelihood import log_likelihood
from medvid.losses.loss import Loss, in_full, weighted_mean
from medvid.losses.options import FocalOptions
from medvid.plugin.info import UNKNOWN, TargetInfo


def focal(options: FocalOptions, target_info: TargetInfo) -> Loss:
    """The focal loss (Lin et al., ICCV 2017) of exclusive classes or of independent labels."""
    return (FocalOfClasses if target_info.what == "class" else FocalOfLabels)(options, target_info)


class FocalOfClasses(Loss):
    """Cross entropy of softmax, times a power of one less the probability, divided by the sum of the class weights.

    Args:
        options: focusing parameter and weights.
        target_info: the classes.
    """

    def __init__(self, options: FocalOptions, target_info: TargetInfo) -> None:
        super().__init__()
        self.gamma, self.info = options.gamma, target_info
        weights = options.class_weights
        self.weights: Tensor | None
        self.register_buffer("weights", None if weights is None else torch.tensor(weights), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits, (B, labels, *S) of voxels, (B, labels) of cases, (B, T, labels) of frames.
            target: label ids, without the axis of the labels; or probabilities, with it.

        Returns:
            Scalars ``loss``, and ``weight`` where not every example weighs the same.
        """
        if self.info.where != "voxel":
            output = output.movedim(-1, 1)
            target = target.movedim(-1, 1) if target.is_floating_point() else target
        log_p = in_full(output).log_softmax(1)
        weights = log_p.new_ones(log_p.shape[1]) if self.weights is None else self.weights.to(log_p.dtype)
        if target.is_floating_point():  # mixed; the probabilities of an unknown one are all 0
            share = (target.to(log_p.dtype).movedim(1, -1) * weights).movedim(-1, 1)
        else:
            log_p = log_likelihood(log_p, target, self.info)
            share = weights[target.clamp_min(0)]
            share = share.where(target != UNKNOWN, 0) if self.info.has_unknown else share
        total = (share * _focal(log_p, self.gamma)).sum()
        if self.weights is None and not self.info.has_unknown:
            return {"loss": total / (output.numel() // output.shape[1])}
        return weighted_mean(total, share.sum())


class FocalOfLabels(Entrywise):
    """Binary cross entropy of sigmoid, times a power of one less the probability of what is true.

    Args:
        options: focusing parameter and balance.
        target_info: the labels.
    """

    def __init__(self, options: FocalOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.class_weights)
        self.gamma, self.alpha = options.gamma, options.alpha

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        present, absent = (_focal(functional.logsigmoid(logit), self.gamma) for logit in (output, -output))
        if self.alpha is not None:
            present, absent = self.alpha * present, (1 - self.alpha) * absent
        return target * present + (1 - target) * absent


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    """The loss of what has this log-probability and is true."""
    doubt = (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).tiny)  # 1 - p; a power below 1 has no gradient at 0
    return -(doubt**gamma) * log_p
