"""How much memory a task takes on its device, estimated before the first step. Nothing is allocated or computed."""

import logging
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from medvid.config.checked import CheckedTask
from medvid.config.evaluation import (
    CaseEvaluationOptions,
    FrameEvaluationOptions,
    VoxelEvaluationOptions,
    windows_at_once,
)
from medvid.config.task import Task, TrainOptions
from medvid.data.targets import target_dtype
from medvid.devices.free_memory import free_memory
from medvid.devices.memory_format import CHANNELS_LAST
from medvid.devices.precision import multiplies_bf16, precision_of
from medvid.models.fakes import fake_copy
from medvid.models.model import Model
from medvid.training.freeze import Frozen
from medvid.training.losses import ModelLosses
from medvid.training.memory import checkpoint_layers

logger = logging.getLogger("medvid")

_SHARE = 0.9
"""Share of the free memory that an estimate may reach without a warning: allocators lose some to rounding and gaps."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes on the device of a task.

    Args:
        held: weights, the optimizer's state and averaged weights.
        activations: a batch, and what the backward pass needs of the forward pass.
        training: the peak of a step: both, gradients, and what operations need for a while.
        inference: the peak of a batch of windows or views in an evaluation during training.
    """

    held: int
    activations: int
    training: int
    inference: int

    def __str__(self) -> str:
        parts = f"activations {gibibytes(self.activations)}, weights and optimizer {gibibytes(self.held)}"
        return f"about {gibibytes(self.training)} for a training step ({parts})"


def estimate(checked: CheckedTask, model: Model, fabric: Fabric) -> Footprint | None:
    """Go through a training step and a batch of inference on tensors without memory, and count what lives at once.

    Workspaces of kernels, the context of CUDA, gaps between allocations, the blended scores of a case (labels x plane x
    depth of a window, float32) and random changes of the next batch (`TrainOptions.transforms_on`) come on top.

    Args:
        checked: the task.
        model: as built; stays as it is.
        fabric: has the device and the precision; need not be launched.

    Returns:
        None where the model cannot be run so, as when it reads values of its tensors.
    """
    try:
        return _estimate(checked, model, fabric)
    except Exception as error:  # of whatever a model does: a run does not depend on it
        logger.debug("the memory of a training step cannot be estimated: %s", error, exc_info=True)
        return None


def log_memory(checked: CheckedTask, model: Model, fabric: Fabric) -> None:
    """Say what a training step may take on the device, and what to do if that is not free; arguments as `estimate`."""
    if footprint := estimate(checked, model, fabric):
        free = free_memory(fabric.device)
        logger.info("memory: %s, %s free", footprint, gibibytes(free))
        if advice := shortage(footprint, checked.task, model, fabric, free):
            logger.warning("memory: %s, %s free: %s", footprint, gibibytes(free), advice)


def shortage(footprint: Footprint, task: Task, model: Model, fabric: Fabric, free: int) -> str:
    """What to do where a task may not fit into the memory that is free, the cheapest first; empty where it fits."""
    if footprint.training > _SHARE * free:
        return f"it may not fit; to need less, the cheapest first: {', '.join(_remedies(task, model, fabric))}"
    if footprint.inference > _SHARE * free:
        return f"evaluation, about {gibibytes(footprint.inference)}, may not fit: set a smaller evaluation.window_batch"
    return ""


def gibibytes(count: int) -> str:
    """For people."""
    return f"{count / 2**30:.1f} GiB"


def _remedies(task: Task, model: Model, fabric: Fabric) -> Iterator[str]:
    options = task.train
    if options.batch_size > 1:
        half, twice = options.batch_size // 2, options.accumulate * 2
        yield f"train.batch_size={half} with train.accumulate={twice}"
    if precision_of(fabric) in ("fp32", "tf32"):
        is_emulated = fabric.device.type == "cuda" and not multiplies_bf16("cuda")
        yield f"train.precision={'fp16' if is_emulated else 'bf16'}"
    if model.backbone.layers and not options.gradient_checkpointing:
        yield "train.gradient_checkpointing=true (a second forward pass in each step)"
    if task.dataset.examples_per_case() > 1:
        yield "fewer examples of a case"
    yield "smaller inputs"


def _estimate(checked: CheckedTask, model: Model, fabric: Fabric) -> Footprint:
    task = checked.task
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.random.fork_rng(devices=[]), mode:
        fake = fake_copy(model, mode, fabric.device)
        Frozen(fake, task.train).set_modes(0)
        if task.train.gradient_checkpointing:
            checkpoint_layers(fake.backbone)
        held = _held(fake, task.train)
        with _live_bytes(fake) as live:
            activations = _train(fake, checked, fabric, live)
        training = held + live.peak
        fake.zero_grad()
        with _live_bytes(fake) as live, torch.no_grad():
            _infer(fake.eval(), checked, fabric)
    return Footprint(held, activations, training, inference=held + live.peak)


def _held(model: Model, options: TrainOptions) -> int:
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    average = sum(parameter.nbytes for parameter in model.parameters()) if options.ema else 0
    return weights + options.optimizer.states_per_parameter() * trained + average


def _train(model: Model, checked: CheckedTask, fabric: Fabric, live: "_LiveBytes") -> int:
    """Forward and backward pass of a batch; returns the bytes that live between them."""
    task = checked.task
    if task.train.accumulate > 1:  # the gradients of earlier batches are there
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    before = live.now
    images, target = _batch(checked, task.train.batch_size * task.dataset.examples_per_case(), fabric.device)
    losses = ModelLosses(fabric, model)(images, target)
    activations = live.now - before
    torch.autograd.backward(losses["loss"])
    return activations


def _infer(model: Model, checked: CheckedTask, fabric: Fabric) -> Tensor:
    options = cast(VoxelEvaluationOptions | FrameEvaluationOptions | CaseEvaluationOptions, checked.task.evaluation)
    where, axes = checked.target_info.where, checked.input_info.axes
    windows = windows_at_once(options.window_batch, fabric.device.type, where, axes)
    images, _ = _batch(checked, windows, fabric.device)
    with fabric.autocast():
        output: Tensor = model(images)
    return output.float()


def _batch(checked: CheckedTask, examples: int, device: torch.device) -> tuple[Tensor, Tensor]:
    info, target_info = checked.input_info, checked.target_info
    images = torch.empty(examples, info.channels, *info.size, device=device)
    if checked.task.train.channels_last:
        images = images.contiguous(memory_format=CHANNELS_LAST[images.ndim])
    shape = target_info.target_shape(info.axes, info.size)
    return images, torch.empty(examples, *shape, dtype=target_dtype(target_info), device=device)


@contextmanager
def _live_bytes(model: Model) -> Iterator["_LiveBytes"]:
    """Count what is allocated within the block, except what the model holds."""
    known = {tensor.untyped_storage()._cdata for tensor in [*model.parameters(), *model.buffers()]}
    with _LiveBytes(known) as live:
        yield live


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operations make, for as long as they live.

    Args:
        known: addresses of storages that do not count.
    """

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.peak, self._known = 0, 0, known

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, result)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (address := storage._cdata) in self._known:
            return
        size = storage.nbytes()
        self._known.add(address)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size
