"""Sums over the voxels of each example, that overlaps and likelihoods are made of, for every kind of target."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medvid.losses.label_sums import label_sums
from medvid.losses.likelihood import candidates
from medvid.losses.loss import in_full
from medvid.plugin.info import UNKNOWN, TargetInfo


@dataclass(frozen=True, slots=True)
class VoxelSums:
    """Of B examples and L labels.

    Args:
        overlap: (B, 3, L): the predicted probability where a label is, that everywhere (perhaps squared), and the
            number of voxels that have the label; where it is unknown whether a voxel has a label, it counts in none.
        likelihood: (B, n), the log-likelihood of what is known, in n parts.
        entries: what the likelihoods of all examples are summed over: voxels, or voxels times independent labels.
        known: (B,), how many of these are known; None where nothing can be unknown.
        defined: (B, L), whether enough is known of a label to have an overlap; None where nothing can be unknown.
    """

    overlap: Tensor
    likelihood: Tensor
    entries: int
    known: Tensor | None = None
    defined: Tensor | None = None


def voxel_sums(output: Tensor, target: Tensor, info: TargetInfo, squared: bool) -> VoxelSums:
    """The sums, in float32 or better.

    Args:
        output: logits (B, L, *S), of any floating type.
        target: label ids (B, *S), or independent labels (B, L, *S).
        info: says which, and whether any may be unknown.
        squared: square the probabilities that are summed everywhere.
    """
    if info.what == "labels":
        return _of_labels(output.flatten(2), target.flatten(2), squared, info.has_unknown)
    of_classes = _of_partial_classes if info.has_partial else _of_classes
    return of_classes(output.flatten(2), target.flatten(1), squared, info.has_unknown)


def _of_classes(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool) -> VoxelSums:
    rows = label_sums(logits, target, squared, has_unknown)
    overlap, likelihood = rows[:, :3], rows[:, 3]
    if not has_unknown:
        return VoxelSums(overlap, likelihood, target.numel())
    known = (target >= 0).sum(1)
    return VoxelSums(overlap, likelihood, target.numel(), known, (known > 0).unsqueeze(1).expand_as(likelihood))


def _of_labels(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool) -> VoxelSums:
    logits = in_full(logits)
    target, known = target.to(logits.dtype), target >= 0
    if has_unknown:
        logits, target = logits.where(known, 0), target.where(known, 0)
    probability = logits.sigmoid()
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    summed = probability.square() if squared else probability
    if has_unknown:
        losses, summed = losses.where(known, 0), summed.where(known, 0)
    overlap = torch.stack([(probability * target).sum(2), summed.sum(2), target.sum(2)], dim=1)
    counts = (known.sum((1, 2)), known.any(2)) if has_unknown else (None, None)
    return VoxelSums(overlap, -losses.sum(2), target.numel(), *counts)


def _of_partial_classes(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool) -> VoxelSums:  # noqa: ARG001
    """The marginal likelihood; a label that any voxel may or may not have has no overlap in that example."""
    log_probability = in_full(logits).log_softmax(1)
    probability, annotated = log_probability.exp(), target != UNKNOWN
    possible = candidates(target, logits.shape[1])
    truth = possible & (target >= 0).unsqueeze(1)
    unclear = possible ^ truth
    summed = (probability.square() if squared else probability).where(~unclear, 0)
    overlap = torch.stack([probability.where(truth, 0).sum(2), summed.sum(2), truth.sum(2)], dim=1)
    defined = annotated.any(1, keepdim=True) & ~(unclear & annotated.unsqueeze(1)).any(2)
    likelihood = log_probability.where(possible, -torch.inf).logsumexp(1).where(annotated, 0).sum(1, keepdim=True)
    overlap = overlap.where(defined.unsqueeze(1), 0)
    return VoxelSums(overlap, likelihood, target.numel(), annotated.sum(1), defined)
