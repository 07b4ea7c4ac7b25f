"""Losses of numbers with units."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.losses.entries.entrywise import Entrywise
from medvid.losses.entries.options import GaussianNLLOptions, HuberOptions, L1Options, MSEOptions
from medvid.plugin.info import TargetInfo


class MSE(Entrywise):
    """Squared error.

    Args:
        options: weights.
        target_info: the values.
    """

    def __init__(self, options: MSEOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.value_weights)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        return (output - target).square()


class L1(Entrywise):
    """Absolute error.

    Args:
        options: weights.
        target_info: the values.
    """

    def __init__(self, options: L1Options, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.value_weights)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        return (output - target).abs()


class Huber(Entrywise):
    """Huber loss (Annals of Mathematical Statistics 35, 1964), as torch's.

    Args:
        options: weights, and where it becomes linear.
        target_info: the values.
    """

    def __init__(self, options: HuberOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.value_weights)
        self.delta = options.delta

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        return functional.huber_loss(output, target, reduction="none", delta=self.delta)


class GaussianNLL(Entrywise):
    """Half of log(variance) + error squared / variance, with a variance of each value that is trained along.

    Args:
        options: weights.
        target_info: the values.
    """

    def __init__(self, options: GaussianNLLOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.value_weights)
        self.log_variance = nn.Parameter(torch.zeros(len(target_info.names)))

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        log_variance = self.beside(self.log_variance, output)
        return 0.5 * (log_variance + (output - target).square() * (-log_variance).exp())
