"""Options that heads share."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import NonNegativeFloat

from medvid.config.named import Named
from medvid.config.numbers import Fraction
from medvid.config.options import HeadOptions, LossOptions, Options, WeightsOptions
from medvid.losses.entries.options import BCEOptions, MSEOptions
from medvid.losses.options import CrossEntropyOptions, DiceBCEOptions, DiceCEOptions
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import What

_USUAL: dict[What, LossOptions] = {"class": CrossEntropyOptions(), "labels": BCEOptions(), "value": MSEOptions()}

_USUAL_OF_VOXELS: dict[What, LossOptions] = _USUAL | {"class": DiceCEOptions(), "labels": DiceBCEOptions()}


class NNUNetWeights(WeightsOptions):
    """Weights that nnU-Net has trained."""

    source: Literal["nnunet", "state_dict"]
    """nnunet: a checkpoint of its trainer (checkpoint_final.pth), whose axes are reordered as its plan says;
    state_dict: of the network alone, with the axes of these options."""
    plans: Path | None = None
    """plans.json of that training; default: beside the checkpoint, or in the folder above it."""


class SegmentationHeadOptions(HeadOptions):
    """Base of the options of heads that predict the class, labels or values of every voxel."""

    loss: Annotated[LossOptions, Named("loss", where="voxel")] | None = None
    """The training loss; default: dice_ce for a class, dice_bce for labels, mse for values."""

    def loss_for(self, info: TargetInfo) -> LossOptions:
        """The loss that is named, else the usual one for what is predicted."""
        return self.loss or _USUAL_OF_VOXELS[info.what]


class DecoderOptions(SegmentationHeadOptions):
    """Base of the options of decoders with several levels, see `medvid.models.deep_supervision`."""

    deep_supervision: bool = False
    """Train at the scales of all levels but the coarsest, with weights 1, 1/2, 1/4, ... that add up to 1."""

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """As the loss; and means over other things than examples only add up over scales for whole batches."""
        super().check_split(accumulate, processes, info)
        if self.deep_supervision and accumulate > 1 and not self.loss_for(info).is_mean_over_examples(info):
            raise ValueError(
                "head.deep_supervision adds up losses of several scales, each a mean over what is known or weighted "
                f"there, which cannot be had from parts of a batch (train.accumulate is {accumulate})"
            )


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


class _AnswerHeadOptions(HeadOptions):
    """Base of the options of heads that predict a few numbers, of a case or of a frame."""

    def loss_for(self, info: TargetInfo) -> LossOptions:
        """The loss that is named, else the usual one for what is predicted."""
        return self.loss or _USUAL[info.what]


class CaseHeadOptions(_AnswerHeadOptions):
    """Base of the options of heads that predict something of a case as a whole."""

    loss: Annotated[LossOptions, Named("loss", where="case")] | None = None
    """The training loss; default: ce for a class, bce for labels, mse for values."""


class FrameHeadOptions(_AnswerHeadOptions):
    """Base of the options of heads that predict something of each frame of a video, or slice of a volume."""

    loss: Annotated[LossOptions, Named("loss", where="frame")] | None = None
    """The training loss; default: ce for a class, bce for labels, mse for values."""


class ClassificationHeadOptions(CaseHeadOptions):
    """Base of the options of heads that predict the class or the labels of a case."""

    mix: MixOptions = MixOptions()
    """MixUp and CutMix of training batches."""

    def mixes_cases(self) -> bool:
        """With MixUp or CutMix."""
        return self.mix.is_on
