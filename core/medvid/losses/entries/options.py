"""Options of the losses that are a mean over single labels or values."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import LossOptions
from medvid.plugin.info import TargetInfo

Weights = tuple[PositiveFloat, ...] | None
"""One for each class, label or value of the data set, in their order; None: all equal."""


def check_count(option: str, weights: Weights, info: TargetInfo) -> None:
    """Refuse another number of weights than there are classes, labels or values.

    Raises:
        ValueError: naming the option.
    """
    count, wanted = len(weights or info.names), len(info.names)
    if count != wanted:
        many = "values" if info.what == "value" else "labels"
        raise ValueError(f"{option} has {count} weights, the data set {wanted} {many}; give one for each")


class LabelOptions(LossOptions):
    """Base of losses of independent labels."""

    label_weights: Weights = None
    """Weight of each label in the mean, in the order of the labels; default: all equal."""

    def check_target(self, info: TargetInfo) -> None:
        """There has to be a weight for each label."""
        check_count("label_weights", self.label_weights, info)


class BCEOptions(LabelOptions):
    """Binary cross entropy of sigmoid."""

    name: Literal["bce"] = "bce"
    pos_weight: Weights = None
    """Factor of the loss where a label is present, for each label, as torch's `pos_weight`: e.g. absent / present."""

    def check_target(self, info: TargetInfo) -> None:
        """There has to be a weight for each label."""
        super().check_target(info)
        check_count("pos_weight", self.pos_weight, info)


class AsymmetricOptions(LabelOptions):
    """Asymmetric loss (Ridnik et al., ICCV 2021), named as in its code; defaults of the paper."""

    name: Literal["asymmetric"] = "asymmetric"
    gamma_neg: NonNegativeFloat = 4.0
    """Focusing parameter where a label is absent."""
    gamma_pos: NonNegativeFloat = 0.0
    """Focusing parameter where a label is present."""
    clip: FractionBelowOne = 0.05
    """Margin: probabilities of absent labels below it cost nothing."""


class ValueOptions(LossOptions):
    """Base of losses of values, in units, or in standard deviations where a head learns them so."""

    value_weights: Weights = None
    """Weight of each value in the mean, in their order, e.g. where their scales differ; default: all equal."""

    def check_target(self, info: TargetInfo) -> None:
        """There has to be a weight for each value."""
        check_count("value_weights", self.value_weights, info)


class MSEOptions(ValueOptions):
    """Mean squared error."""

    name: Literal["mse"] = "mse"


class L1Options(ValueOptions):
    """Mean absolute error."""

    name: Literal["l1"] = "l1"


class HuberOptions(ValueOptions):
    """Huber loss: half the squared error up to `delta`, linear beyond."""

    name: Literal["huber"] = "huber"
    delta: PositiveFloat = 1.0
    """The error from which on it is linear: in standard deviations where the head learns them so, else in units."""


class GaussianNLLOptions(ValueOptions):
    """Negative log-likelihood of a normal distribution about the prediction, whose variance is learnt for each value.

    A head predicts a number for each value, so the variance is not that of a case (Kendall et al., CVPR 2018). It
    balances values on different scales.
    """

    name: Literal["gaussian_nll"] = "gaussian_nll"
