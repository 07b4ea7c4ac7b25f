"""Options that all classification heads share."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from medvid.config.options import HeadOptions, Options

Fraction = Annotated[float, Field(ge=0, le=1)]


class MixOptions(Options):
    """Training on mixtures of two examples and of their labels, named as PySlowFast names it.

    The two are of different cases of one batch of one device; with `train.accumulate` each batch is mixed by itself.
    """

    mixup: NonNegativeFloat = 0.0
    """Parameter of the Beta distribution of MixUp's share (Zhang et al., ICLR 2018); 0: never."""
    cutmix: NonNegativeFloat = 0.0
    """That of CutMix (Yun et al., ICCV 2019): a box of one clip is put into all frames of the other; 0: never."""
    probability: Fraction = 1.0
    """Probability that a batch is mixed at all."""
    switch_probability: Fraction = 0.5
    """Where both are on: probability of CutMix."""

    @property
    def is_on(self) -> bool:
        """Whether anything is ever mixed."""
        return bool((self.mixup or self.cutmix) and self.probability)


class CrossEntropyOptions(Options):
    """Cross entropy of softmax."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread evenly over all classes (Szegedy et al., CVPR 2016)."""
    class_weights: tuple[PositiveFloat, ...] | None = None
    """Weight of each class, in the order of the labels; default: all equal."""


class ClassificationHeadOptions(HeadOptions):
    """Base of a classification head's options."""

    loss: CrossEntropyOptions = CrossEntropyOptions()
    """The training loss."""
    mix: MixOptions = MixOptions()
    """MixUp and CutMix of training batches."""
