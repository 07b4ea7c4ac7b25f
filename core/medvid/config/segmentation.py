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
    """Sum over the batch before the ratio is taken, instead of one Dice per example."""
    lambda_dice: NonNegative = 1.0
    """Weight of the Dice term."""
    lambda_ce: NonNegative = 1.0
    """Weight of the cross entropy."""


class SegmentationHeadOptions(HeadOptions):
    """Base of a segmentation head's options."""

    loss: DiceCEOptions = DiceCEOptions()
    """The training loss."""
