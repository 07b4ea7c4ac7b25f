"""Losses of independent labels: any of them may be present."""

import torch
from torch import Tensor
from torch.nn import functional

from medvid.losses.entries.entrywise import Entrywise
from medvid.losses.entries.options import AsymmetricOptions, BCEOptions
from medvid.plugin.info import TargetInfo


class BCE(Entrywise):
    """Binary cross entropy of sigmoid.

    Args:
        options: weights.
        target_info: the labels.
    """

    def __init__(self, options: BCEOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.label_weights)
        weight = options.pos_weight
        self.pos_weight: Tensor | None
        self.register_buffer("pos_weight", None if weight is None else torch.tensor(weight), persistent=False)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        weight = None if self.pos_weight is None else self.beside(self.pos_weight, output)
        return functional.binary_cross_entropy_with_logits(output, target, pos_weight=weight, reduction="none")


class Asymmetric(Entrywise):
    """Asymmetric loss (Ridnik et al., ICCV 2021, equations 4 to 6), as a mean; its gradient is that of the whole term.

    Args:
        options: focusing parameters and margin.
        target_info: the labels.
    """

    def __init__(self, options: AsymmetricOptions, target_info: TargetInfo) -> None:
        super().__init__(target_info, options.label_weights)
        self.options = options

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """See `Entrywise.entries`."""
        options, least = self.options, torch.finfo(output.dtype).tiny  # a power below 1 has no gradient at 0
        absent = (-output).sigmoid()
        shifted = (output.sigmoid() - options.clip).clamp_min(least)
        log_absent = (absent + options.clip).clamp_max(1).log() if options.clip else functional.logsigmoid(-output)
        present = absent.clamp_min(least) ** options.gamma_pos * functional.logsigmoid(output)
        return -(target * present + (1 - target) * shifted**options.gamma_neg * log_absent)
