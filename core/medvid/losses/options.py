"""Options of the losses that medvid ships."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from medvid.config.named import Named
from medvid.config.numbers import Fraction, FractionBelowOne, PositiveFraction
from medvid.config.options import LossOptions
from medvid.losses.entries.options import Weights, check_count
from medvid.plugin.info import TargetInfo


class CrossEntropyOptions(LossOptions):
    """Cross entropy of softmax."""

    name: Literal["ce"] = "ce"
    label_smoothing: FractionBelowOne = 0.0
    """Share of the target that is spread evenly over all classes (Szegedy et al., CVPR 2016)."""
    class_weights: Weights = None
    """Weight of each class, in the order of the labels; default: all equal."""

    def is_mean_over_examples(self, info: TargetInfo) -> bool:
        """Unless classes have weights."""
        return super().is_mean_over_examples(info) and self.class_weights is None

    def check_target(self, info: TargetInfo) -> None:
        """There has to be a weight for each class."""
        check_count("class_weights", self.class_weights, info)


class FocalOptions(LossOptions):
    """Focal loss (Lin et al., ICCV 2017), as a mean; gamma is that of the paper."""

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0
    """Focusing parameter: the higher, the less easy examples count; 0: plain cross entropy."""
    alpha: Fraction | None = None
    """Of independent labels: weight where a label is present, of 1 - alpha where absent; default: no weights."""
    class_weights: Weights = None
    """Weight of each class or label in the mean, in the order of the labels; default: all equal."""

    def is_mean_over_examples(self, info: TargetInfo) -> bool:
        """Unless classes have weights."""
        return super().is_mean_over_examples(info) and self.class_weights is None

    def check_target(self, info: TargetInfo) -> None:
        """There has to be a weight for each class; alpha is for labels that are present or absent."""
        check_count("class_weights", self.class_weights, info)
        if self.alpha is not None and info.what == "class":
            raise ValueError("alpha is for independent labels; of exclusive classes, set class_weights instead")


class TopKOptions(LossOptions):
    """Cross entropy of the hardest voxels (Wu et al., 2016); nnU-Net's: ``{batch: true}``, as a part of a sum."""

    name: Literal["topk"] = "topk"
    share: PositiveFraction = 0.1
    """Share of the known voxels, those with the highest cross entropy, that the mean is over; at least one voxel."""
    batch: bool = False
    """Choose among the voxels of the whole batch instead of each example's; only where a step has one batch."""

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:  # noqa: ARG002 (of any target)
        """The hardest voxels of a batch are not those of its parts."""
        if self.batch and accumulate * processes > 1:
            raise ValueError(
                "head.loss.batch is true, so that the hardest voxels of the whole batch count, which are not those of "
                f"its parts (train.accumulate is {accumulate}, processes: {processes})"
            )


class OverlapOptions(LossOptions):
    """Base of losses that are one less an overlap of prediction and truth."""

    smooth_nr: NonNegativeFloat = 1e-5
    """Added to the numerator of the overlap."""
    smooth_dr: PositiveFloat = 1e-5
    """Added to the denominator of the overlap."""
    batch: bool = False
    """Sum over the batch before the ratio is taken, instead of one per example; not with `train.accumulate`."""

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:  # noqa: ARG002 (they exchange sums)
        """The overlap of a whole batch is a ratio of sums, known only when its last part has been seen."""
        if self.batch and accumulate > 1:
            raise ValueError(
                "head.loss.batch is true, one overlap for all examples of a batch, which cannot be had from its parts "
                f"(train.accumulate is {accumulate})"
            )


class TverskyOptions(OverlapOptions):
    """One less the Tversky index (Salehi et al., MLMI 2017); with alpha and beta 0.5 it is Dice."""

    name: Literal["tversky"] = "tversky"
    alpha: NonNegativeFloat = 0.3
    """Weight of what is predicted and not there."""
    beta: NonNegativeFloat = 0.7
    """Weight of what is there and not predicted."""
    include_background: bool = True
    """Let label 0 of exclusive classes take part."""

    def check_target(self, info: TargetInfo) -> None:
        """Independent labels have no background."""
        if info.what == "labels" and not self.include_background:
            raise ValueError("include_background is for exclusive classes; independent labels have no background")


class DiceOptions(OverlapOptions):
    """Base of losses that are soft Dice plus a cross entropy."""

    squared_pred: bool = False
    """Square the probabilities in the denominator of the Dice term (Milletari et al., 3DV 2016)."""
    lambda_dice: NonNegativeFloat = 1.0
    """Weight of the Dice term."""
    average: Literal["examples", "voxels"] = "examples"
    """Where voxels may be unknown: `examples`, the cross entropy is that of each example's known voxels first, and
    examples without any have no part; `voxels`, it is the mean over all known voxels of the batch, and every example
    has a Dice, as in nnU-Net; not with `train.accumulate`."""

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """As for all overlaps; and a mean over the known voxels of a batch divides by their number in all its parts."""
        if self.lambda_dice:
            super().check_split(accumulate, processes, info)
        if self.average == "voxels" and info.has_unknown and accumulate > 1:
            raise ValueError(
                "head.loss.average is voxels, a mean over all known voxels of a batch, which cannot be had from its "
                f"parts (train.accumulate is {accumulate})"
            )


class DiceCEOptions(DiceOptions):
    """Soft Dice plus cross entropy, named and defined as MONAI's DiceCELoss on softmax; defaults as in UNETR's code.

    nnU-Net's: ``{include_background: false, squared_pred: false, smooth_nr: 1e-5, smooth_dr: 1e-5, average: voxels}``
    and ``batch: true`` where its plans have batch_dice; its Dice is one less.
    """

    name: Literal["dice_ce"] = "dice_ce"
    include_background: bool = True
    """Let label 0 take part in the Dice term."""
    squared_pred: bool = True
    """Square the probabilities in the denominator of the Dice term (Milletari et al., 3DV 2016)."""
    smooth_nr: NonNegativeFloat = 0.0
    """Added to the numerator of the Dice term."""
    smooth_dr: NonNegativeFloat = 1e-6
    """Added to the denominator of the Dice term."""
    lambda_ce: NonNegativeFloat = 1.0
    """Weight of the cross entropy."""


class DiceBCEOptions(DiceOptions):
    """Soft Dice plus binary cross entropy of sigmoid, for regions and structures that overlap; defaults as in nnU-Net.

    Where voxels may be ignored, nnU-Net's has ``{average: voxels, ignore_scaling_fault: true}`` as well.
    """

    name: Literal["dice_bce"] = "dice_bce"
    lambda_bce: NonNegativeFloat = 1.0
    """Weight of the binary cross entropy."""
    ignore_scaling_fault: bool = False
    """Multiply the binary cross entropy by the number of labels: nnU-Net does so, by a fault, with an ignore label."""


class SumOptions(LossOptions):
    """A weighted sum of losses: ``{name: sum, parts: [dice_ce, {name: focal, gamma: 1}], weights: [1, 0.5]}``."""

    name: Literal["sum"] = "sum"
    parts: Annotated[tuple[Annotated[LossOptions, Named("loss")], ...], Field(min_length=1)]
    """The losses, each a block with a name, or a bare name."""
    weights: tuple[PositiveFloat, ...] | None = None
    """Weight of each; default: 1."""

    @model_validator(mode="after")
    def _check_count(self) -> Self:
        count, wanted = len(self.weights or self.parts), len(self.parts)
        if count != wanted:
            raise ValueError(f"weights has {count} numbers for {wanted} parts; give one for each")
        return self

    def is_mean_over_examples(self, info: TargetInfo) -> bool:
        """If all parts are."""
        return all(part.is_mean_over_examples(info) for part in self.parts)

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """As each part; and means over other things than examples only add up for whole batches."""
        for part in self.parts:
            part.check_split(accumulate, processes, info)
        if accumulate > 1 and not self.is_mean_over_examples(info):
            names = ", ".join(part.name for part in self.parts if not part.is_mean_over_examples(info))
            raise ValueError(
                f"head.loss is a sum with {names}, means over what is known or weighted, which cannot be added up in "
                f"parts of a batch (train.accumulate is {accumulate})"
            )
