"""Distributed data parallel: a replica of the model in each process, whose gradients are averaged.

Each parameter has to get a gradient in each step, or the others would wait for it. A head need not use all that a
backbone computes, so parameters that never get one are found before the training, and left out of it.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.data.targets import target_dtype
from medvid.devices.cluster import Layout, RunEnvironment
from medvid.devices.waiting import from_first
from medvid.errors import DistributedError
from medvid.models.model import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.sentences import listed

logger = logging.getLogger("medvid")

_WAY_OUT = "look for such parameters in each step: --set train.strategy=ddp_find_unused"


def make_strategy(options: TrainOptions, layout: Layout) -> DDPStrategy | str:
    """Fabric's strategy for the devices of a run: "auto" is a single process."""
    if layout == Layout(1, 1) and options.strategy == "auto":
        return "auto"
    # Kernels of a single channel have one memory format by several strides; which one does not matter.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return DDPStrategy(
        cluster_environment=RunEnvironment(),
        gradient_as_bucket_view=True,
        find_unused_parameters=options.strategy == "ddp_find_unused",
    )


def leave_out_unused(fabric: Fabric, model: Model, input_info: InputInfo, target_info: TargetInfo) -> None:
    """Let parameters that the loss does not depend on need no gradient, where gradients are averaged.

    Where that cannot be found out, they are looked for in each step.

    Args:
        fabric: launched.
        model: not wrapped yet.
        input_info: what it is trained on.
        target_info: the labels.
    """
    if not (strategy := _strict_strategy(fabric)):
        return
    names = from_first(_unused_or_none(model, input_info, target_info) if fabric.is_global_zero else None)
    if names is None:
        strategy._ddp_kwargs["find_unused_parameters"] = True
    elif names:
        logger.info("not trained, as the loss does not depend on them (%d): %s", len(names), listed(names, 3))
        for name in names:
            model.get_parameter(name).requires_grad_(False)


def _unused_or_none(model: Model, input_info: InputInfo, target_info: TargetInfo) -> list[str] | None:
    try:
        return unused_parameters(model, input_info, target_info)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        logger.info("parameters without a gradient are looked for in each step, as the model fails on meta: %s", reason)
        return None


def unused_parameters(model: Model, input_info: InputInfo, target_info: TargetInfo) -> list[str]:
    """Names of the parameters that the loss of a batch does not depend on, in training or without its randomness.

    Found on the meta device, which computes shapes alone; the model stays as it is.

    Args:
        model: on any device.
        input_info: what it is trained on.
        target_info: the labels.
    """
    tensors = [*model.parameters(), *model.buffers()]
    replica = copy.deepcopy(model, {id(tensor): _on_meta(tensor) for tensor in tensors})
    shape = target_info.target_shape(input_info.axes, input_info.size)
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):  # layers that are left out at random are there without it
            x = torch.empty(2, input_info.channels, *input_info.size, device="meta")
            target = torch.zeros(2, *shape, dtype=target_dtype(target_info), device="meta")
            x, target = replica.train(training).head.mix(Batch(x, target, ("a", "b")))
            torch.autograd.backward(replica.head.loss(replica(x), target)["loss"])
            unused = [name for name, value in replica.named_parameters() if value.requires_grad and value.grad is None]
            if not unused:
                break
    return unused


def _on_meta(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def expect_gradients(fabric: Fabric, model: nn.Module, trained: Sequence[nn.Parameter]) -> None:
    """Refuse a step that left parameters without a gradient, where their averages would be missing.

    Args:
        fabric: launched.
        model: the model, for the names.
        trained: those of its parameters that are trained.

    Raises:
        DistributedError: naming them.
    """
    if _strict_strategy(fabric) and any(parameter.grad is None for parameter in trained):
        missing = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
        raise DistributedError(
            f"the loss of this step did not depend on {listed(missing, 3)}, whose gradients the processes have to "
            "average; the step was not taken",
            hint=_WAY_OUT,
        )


@contextmanager
def missing_gradients_named() -> Iterator[None]:
    """Within the block, torch's error of gradients that other processes still wait for is one of medvid's.

    Raises:
        DistributedError: with the way out.
    """
    try:
        yield
    except RuntimeError as error:
        if "finished reduction in the prior iteration" not in str(error):
            raise
        raise DistributedError(
            "the loss did not depend on some parameters, whose gradients the processes have to average",
            hint=_WAY_OUT,
        ) from error


def _strict_strategy(fabric: Fabric) -> DDPStrategy | None:
    """The strategy, if it needs a gradient of every parameter."""
    strategy = fabric.strategy
    if not isinstance(strategy, DDPStrategy) or strategy._ddp_kwargs.get("find_unused_parameters"):
        return None
    return strategy
