"""Options that all segmentation heads share."""

from typing import Annotated

from pydantic import Field

from medvid.config.options import HeadOptions, Options

NonNegative = Annotated[float, Field(ge=0)]


class DiceCEOptions(Options):
    """Soft Dice plus cross entropy, named and defined as MONAI's DiceCELoss on softmax; defaults as in UNETR's code."""

    include_background: bool = True
    """Let label 0 take part in the Dice term."""
    squared_pred: bool = True
    """Square the probabilities in the denominator of the Dice term (Milletari et al., 3DV 2016)."""
    smooth_nr: NonNegative = 0.0
    """Added to the numerator of the Dice term."""
    smooth_dr: NonNegative = 1e-6
    """Added to the denominator of the Dice term."""
    batch: bool = False
    """Sum over the batch before the ratio is taken, instead of one Dice per example; not with `train.accumulate`."""
    lambda_dice: NonNegative = 1.0
    """Weight of the Dice term."""
    lambda_ce: NonNegative = 1.0
    """Weight of the cross entropy."""


class SegmentationHeadOptions(HeadOptions):
    """Base of a segmentation head's options."""

    loss: DiceCEOptions = DiceCEOptions()
    """The training loss."""

    def check_split(self, accumulate: int, processes: int) -> None:  # noqa: ARG002 (they exchange their sums)
        """The Dice of a whole batch is a ratio of sums, known only when its last part has been seen."""
        if self.loss.batch and self.loss.lambda_dice and accumulate > 1:
            raise ValueError(
                "head.loss.batch is true, one Dice for all examples of a batch, which cannot be had from its parts "
                f"(train.accumulate is {accumulate})"
            )
