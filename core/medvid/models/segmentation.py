"""What all segmentation heads share: the loss, and the inference procedure with its metrics."""

from abc import ABC

import torch
from torch import Tensor

from medvid.config.evaluation import SegmentationEvaluationOptions
from medvid.config.segmentation import DiceCEOptions, SegmentationHeadOptions
from medvid.models.head import Evaluator, Head
from medvid.plugin.info import InputInfo, TargetInfo

PIECE = 2**16
"""Voxels per piece of the loss: 14 labels in float32 are 3.7 MB."""


class SegmentationHead(Head, ABC):
    """Base of all heads that label every voxel; a subclass adds the network that maps features to logits.

    Args:
        options: the head's options.
    """

    def __init__(self, options: SegmentationHeadOptions) -> None:
        super().__init__()
        self.loss_options = options.loss

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Soft Dice plus cross entropy of logits (B, labels, *S) and label ids (B, *S), see `dice_ce_loss`."""
        return dice_ce_loss(output, target, self.loss_options)

    def evaluator(
        self, options: SegmentationEvaluationOptions, input_info: InputInfo, target_info: TargetInfo
    ) -> Evaluator:
        """Sliding-window inference, scored per case and label."""
        # MONAI's sliding window takes seconds to import; building and training a model does not need it.
        from medvid.evaluation.segmentation import SegmentationEvaluator

        return SegmentationEvaluator(options, input_info, target_info)


def dice_ce_loss(logits: Tensor, target: Tensor, options: DiceCEOptions) -> dict[str, Tensor]:
    """Soft Dice plus cross entropy, as MONAI's DiceCELoss with to_onehot_y and softmax, in float32 or better.

    Args:
        logits: (B, labels, *S), of any floating type.
        target: label ids (B, *S), int64.
        options: the definition.

    Returns:
        Scalars ``loss``, ``dice`` and ``ce``; the latter two are not weighted.
    """
    examples = zip(logits.flatten(2), target.flatten(1), strict=True)
    sums = torch.stack([_example_sums(*example, options.squared_pred) for example in examples])  # B, 4, labels
    ce = -sums[:, 3].sum() / target.numel()
    if options.batch:
        sums = _over_processes(sums.sum(0, keepdim=True), len(logits))
    intersection, predicted, truth, _ = sums[..., 0 if options.include_background else 1 :].unbind(1)
    dice = 1 - ((2 * intersection + options.smooth_nr) / (predicted + truth + options.smooth_dr)).mean()
    return {"loss": options.lambda_dice * dice + options.lambda_ce * ce, "dice": dice, "ce": ce}


def _over_processes(sums: Tensor, examples: int) -> Tensor:
    """The sums over the examples of all processes that train together.

    Each process only follows its own back, as often as there are such parts in the whole batch, since the gradients of
    all processes are averaged, weighted by their examples.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return sums
    everywhere = torch.cat([sums.detach().flatten(), sums.new_full((1,), examples)])
    torch.distributed.all_reduce(everywhere)
    total, parts = everywhere[:-1].view_as(sums), everywhere[-1] / examples
    return total + parts * (sums - sums.detach())


def _example_sums(logits: Tensor, target: Tensor, squared: bool) -> Tensor:
    """`_sums` of logits (labels, V) and target (V,): in pieces that fit a cache, at a third of the time."""
    pieces = zip(torch.split(logits, PIECE, dim=1), torch.split(target, PIECE), strict=True)
    return torch.stack([_sums(*piece, squared) for piece in pieces]).sum(0)


def _sums(logits: Tensor, target: Tensor, squared: bool) -> Tensor:
    """Sums over the voxels of logits (labels, n) and target (n,), as (4, labels).

    Row by row: probability where the label is the true one, probability (squared if asked for), number of voxels
    that have the label, and log-probability where the label is the true one.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_probability = logits.to(dtype, memory_format=torch.contiguous_format).log_softmax(dim=0)
    probability = log_probability.exp()
    truth = target == torch.arange(len(logits), device=target.device).unsqueeze(1)
    return torch.stack(
        [
            probability.where(truth, 0).sum(1),
            (probability.square() if squared else probability).sum(1),
            truth.sum(1).to(dtype),
            log_probability.where(truth, 0).sum(1),
        ]
    )
