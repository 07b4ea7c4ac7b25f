"""Sums over voxels, label by label, that losses of segmentations are made of.

Row by row of (..., 4, labels): probability where the label is the true one, probability (squared if asked for), number
of voxels that have the label, and log-probability where the label is the true one.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE = 2**16
"""Voxels per piece on CPUs: 14 labels in float32 are 3.7 MB."""


def label_sums(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool = False) -> Tensor:
    """The sums of each example, in float32 or better, in the way that suits the device.

    Args:
        logits: (B, labels, V), of any floating type.
        target: label ids (B, V), int64; below 0 where the label is unknown.
        squared: square the probabilities of the second row.
        has_unknown: leave out the probabilities of voxels whose label is unknown; the other rows never count them.

    Returns:
        (B, 4, labels).
    """
    # The compiler fuses what pieces would keep in the cache.
    if logits.device.type == "cpu" and not torch.compiler.is_compiling():
        return in_pieces(logits, target, squared, has_unknown)
    return in_one_piece(logits, target, squared, has_unknown)


def in_pieces(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool = False) -> Tensor:
    """`label_sums` for CPUs: in pieces that fit a cache, at a third of the time."""
    return torch.stack([_of_example(*example, squared, has_unknown) for example in zip(logits, target, strict=True)])


def in_one_piece(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool = False) -> Tensor:
    """`label_sums` for other devices, where launching a kernel costs more than a piece takes.

    Kept for the backward pass is one tensor in float32 as large as the logits. Either pass has three at once, and a
    mask, the gradient that it returns included. Logits with channels last in memory are not copied.
    """
    return _OnePiece.apply(logits.mT, target, squared, has_unknown)


class _OnePiece(torch.autograd.Function):
    """Of logits (B, V, labels); labels are last, as convolutions in channels-last leave them in memory."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, squared: bool, has_unknown: bool) -> Tensor:
        log_probability = _log_softmax(logits, -1)
        ctx.save_for_backward(log_probability, target)
        ctx.squared, ctx.has_unknown = squared, has_unknown
        return _rows(log_probability, target, squared, -1, has_unknown)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        log_probability, target = ctx.saved_tensors
        true_probability, all_probability, _, true_log = grad.unsqueeze(2).unbind(1)  # (B, 1, labels) each
        if ctx.has_unknown:
            all_probability = all_probability * (target >= 0).unsqueeze(-1)
        probability = log_probability.exp()
        truth = _truth(log_probability, target, -1)
        by_log = torch.addcmul(true_log, true_probability, probability).mul_(truth)
        if ctx.squared:
            by_log.addcmul_(probability.square_(), all_probability, value=2)
        else:
            by_log.addcmul_(probability, all_probability)
        del probability, truth
        return torch._log_softmax_backward_data(by_log, log_probability, -1, by_log.dtype), None, None, None


def _of_example(logits: Tensor, target: Tensor, squared: bool, has_unknown: bool) -> Tensor:
    """(4, labels) of logits (labels, V) and target (V,)."""
    pieces = zip(torch.split(logits, PIECE, dim=1), torch.split(target, PIECE), strict=True)
    return torch.stack(
        [_rows(_log_softmax(piece, -2), label, squared, -2, has_unknown) for piece, label in pieces]
    ).sum(0)


def _log_softmax(logits: Tensor, labels: int) -> Tensor:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype, memory_format=torch.contiguous_format).log_softmax(labels)


def _rows(log_probability: Tensor, target: Tensor, squared: bool, labels: int, has_unknown: bool) -> Tensor:
    """The sums over one of the last two axes, (..., 4, labels); `labels` says which is that of the labels, -1 or -2."""
    voxels = -3 - labels
    probability = log_probability.exp()
    truth = _truth(log_probability, target, labels)
    summed = probability.square() if squared else probability
    if has_unknown:
        summed = summed.where((target >= 0).unsqueeze(labels), 0)
    rows = [
        probability.where(truth, 0).sum(voxels),
        summed.sum(voxels),
        truth.sum(voxels).to(probability.dtype),
        log_probability.where(truth, 0).sum(voxels),
    ]
    return torch.stack(rows, dim=-2)


def _truth(log_probability: Tensor, target: Tensor, labels: int) -> Tensor:
    """Where the label is that of the target, a mask as large as the log-probabilities."""
    ids = torch.arange(log_probability.shape[labels], device=target.device)
    return target.unsqueeze(labels) == ids.unsqueeze(-3 - labels)
