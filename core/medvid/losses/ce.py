"""Cross entropy of softmax."""

import torch
from torch import Tensor
from torch.nn import functional

from medvid.losses.likelihood import log_likelihood
from medvid.losses.loss import Loss, in_full, weighted_mean
from medvid.losses.options import CrossEntropyOptions
from medvid.plugin.info import UNKNOWN, TargetInfo


class CrossEntropy(Loss):
    """Cross entropy, in float32 or better, divided by the sum of the class weights of the examples (or voxels).

    That of a mixed example is the mean of its labels' weights by its probabilities. (torch takes 1 instead, and so
    another loss for label ids than for the probabilities that say the same.) What is unknown has no weight. What may be
    one of several classes has that of label 0, and their probabilities together (marginal loss: Shi et al., Medical
    Image Analysis 2021).

    Args:
        options: smoothing and weights.
        target_info: the labels, and whether any may be unknown.
    """

    def __init__(self, options: CrossEntropyOptions, target_info: TargetInfo) -> None:
        super().__init__()
        weights = options.class_weights
        self.label_smoothing, self.info = options.label_smoothing, target_info
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", None if weights is None else torch.tensor(weights), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits, (B, labels, *S) of voxels, (B, labels) of cases, (B, T, labels) of frames.
            target: label ids, without the axis of the labels; or probabilities, with it.

        Returns:
            Scalars ``loss``, and ``weight`` where not every example weighs the same.
        """
        if self.info.where != "voxel":  # torch has the labels behind the batch
            output = output.movedim(-1, 1)
            target = target.movedim(-1, 1) if target.is_floating_point() else target
        output = in_full(output)
        weights = None if self.class_weights is None else self.class_weights.to(output.dtype)
        if self.info.has_partial and not target.is_floating_point():
            return self._marginal(output, target, weights)
        if self.info.has_unknown:
            return self._of_known(output, target, weights)
        total = functional.cross_entropy(output, target, weights, reduction="sum", label_smoothing=self.label_smoothing)
        if weights is None:
            return {"loss": total / (output.numel() // output.shape[1])}
        is_mixed = target.is_floating_point()
        weight = (target.to(output.dtype).movedim(1, -1) @ weights if is_mixed else weights[target]).sum()
        return {"loss": total / weight, "weight": weight}

    def _of_known(self, output: Tensor, target: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """As if what is unknown were not there; of a mixture with it, the known share counts."""
        if not target.is_floating_point():
            known = (target >= 0).unsqueeze(1)
            target = functional.one_hot(target.clamp_min(0), output.shape[1]).movedim(-1, 1) * known
        target = target.to(output.dtype)
        shares, least = target.sum(1), torch.finfo(output.dtype).tiny
        certain = target / shares.unsqueeze(1).clamp_min(least)
        losses = functional.cross_entropy(
            output, certain, weights, reduction="none", label_smoothing=self.label_smoothing
        )
        weight = (shares if weights is None else target.movedim(1, -1) @ weights).sum()
        return weighted_mean((losses * shares).sum(), weight)

    def _marginal(self, output: Tensor, target: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Of ids of which some are only known to be one of several."""
        log_p, known, smoothing = output.log_softmax(1), target != UNKNOWN, self.label_smoothing
        weights = log_p.new_ones(log_p.shape[1]) if weights is None else weights
        share = weights[target.clamp_min(0)]
        losses = -share * log_likelihood(log_p, target, self.info)
        if smoothing:
            losses = torch.lerp(losses, -(log_p.movedim(1, -1) @ weights) / len(weights), smoothing)
        return weighted_mean(losses.where(known, 0).sum(), share.where(known, 0).sum())
