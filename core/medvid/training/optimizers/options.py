"""Options of the optimizers that medvid ships."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from medvid.config.numbers import Fraction
from medvid.config.options import OptimizerOptions


class AdamWOptions(OptimizerOptions):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: NonNegativeFloat = 0.01
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class AdamOptions(OptimizerOptions):
    """Adam (Kingma and Ba, ICLR 2015); its weight decay is L2, added to the gradient."""

    name: Literal["adam"] = "adam"
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class SGDOptions(OptimizerOptions):
    """Stochastic gradient descent with momentum; its weight decay is L2, added to the gradient."""

    name: Literal["sgd"] = "sgd"
    momentum: Fraction = 0.9
    nesterov: bool = False

    def states_per_parameter(self) -> int:
        """The momentum, if there is any."""
        return int(self.momentum > 0)
