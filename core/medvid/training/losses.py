"""The model and its loss as one module: what is distributed, compiled and differentiated."""

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from medvid.config.task import TrainOptions
from medvid.models.model import Model

_WITH_GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes of torch.compile that replay CUDA graphs."""


class ModelLosses(nn.Module):
    """Input and target to the losses of the model's head.

    Only the model runs in the precision of the Fabric; the loss gets the logits in torch's default type.

    Args:
        fabric: has the precision.
        model: on its device.
    """

    def __init__(self, fabric: Fabric, model: Model) -> None:
        super().__init__()
        self.model, self._precision = model, fabric.strategy.precision

    def forward(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Losses of input (B, C, *S) and what `Head.mix` returned as target, see `Head.loss`.

        Only ``"loss"`` can be differentiated.
        """
        with self._precision.forward_context():
            logits = self.model(self._precision.convert_input(input))
        losses = self.model.head.loss(self._precision.convert_output(logits), target)
        return {name: value if name == "loss" else value.detach() for name, value in losses.items()}


class Losses:
    """`ModelLosses` on the devices of a Fabric, distributed and compiled as the recipe asks for.

    Args:
        fabric: launched.
        model: on its device.
        options: the training recipe.
    """

    def __init__(self, fabric: Fabric, model: Model, options: TrainOptions) -> None:
        self._module = fabric.strategy.setup_module(ModelLosses(fabric, model))
        self._compute = self._module
        if options.compile:
            mode = "default" if options.compile is True else options.compile
            self._compute = cast(nn.Module, torch.compile(self._module, mode=mode, dynamic=False))
        self.in_graphs = options.compile in _WITH_GRAPHS
        """Whether gradients may be in the memory of CUDA graphs, until the next call."""

    def __call__(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """As `ModelLosses.forward`; where CUDA graphs run, the losses are valid until the next call."""
        if self.in_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        losses: dict[str, Tensor] = self._compute(input, target)
        return losses

    def unsynchronised(self) -> AbstractContextManager[None]:
        """Within the block processes keep their gradients to themselves."""
        return self._module.no_sync() if isinstance(self._module, DistributedDataParallel) else nullcontext()
