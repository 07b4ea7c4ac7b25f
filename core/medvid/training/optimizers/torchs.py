"""torch's optimizers, fused where a fused one can be told to leave everything as it is.

A fused step on gradients that are not finite can be refused on the device, without waiting for it, see
`medvid.training.optim.take_step`.
"""

from typing import Any

import torch

from medvid.training.optimizers.options import AdamOptions, AdamWOptions, SGDOptions

FUSED = ("cpu", "cuda")
"""Types of devices whose fused optimizers read ``found_inf``; those of MPS ignored it before 2026."""

Groups = list[dict[str, Any]]
"""Parameter groups as torch has them; the parameters are on their device already."""


def adamw(options: AdamWOptions, groups: Groups) -> torch.optim.Optimizer:
    """AdamW over the groups."""
    return torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, eps=options.eps, fused=_fused(groups))


def adam(options: AdamOptions, groups: Groups) -> torch.optim.Optimizer:
    """Adam over the groups."""
    return torch.optim.Adam(groups, lr=options.lr, betas=options.betas, eps=options.eps, fused=_fused(groups))


def sgd(options: SGDOptions, groups: Groups) -> torch.optim.Optimizer:
    """SGD over the groups."""
    return SGD(groups, options.lr, momentum=options.momentum, nesterov=options.nesterov, fused=_fused(groups))


class SGD(torch.optim.SGD):
    """torch's, where each parameter has momentum from the start: zero, which is what its first step begins with.

    Fused SGD does so only where no parameter has any, and fails at one that gets its first gradient in a later step.
    """

    def __init__(self, groups: Groups, lr: float, **options: Any) -> None:
        super().__init__(groups, lr, **options)
        self._begin()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, which need not have the momentum of all parameters."""
        super().load_state_dict(state_dict)
        self._begin()

    def _begin(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"] if group["momentum"] else ():
                self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))


def _fused(groups: Groups) -> bool | None:
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    return devices <= set(FUSED) or None
