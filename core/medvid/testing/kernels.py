"""What a training step launches on a GPU, counted without one: on the meta device, whose tensors have no values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.model import Model

ALLOCATIONS = (
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
    "promote_types",
)
"""Operations that launch nothing, besides views."""


class KernelCount(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's own
    """Counts, within its block, the operations that are kernels on a GPU, and the bytes that they read and write.

    An operation counts as one kernel that reads each input and writes each output once; some are two or three.
    Attention is counted as the products and softmax that it is made of, and casts of autocast, which meta tensors do
    not know, are missing. Convolutions hand on the memory format of their input or kernel, as cuDNN's do.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_name: Counter[str] = Counter()
        """Kernels by the name of their operation."""
        self.bytes = 0

    @property
    def kernels(self) -> int:
        """Number of kernels."""
        return self.by_name.total()

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._overloadpacket.__name__
        if func.is_view or name in ALLOCATIONS:
            return out
        if name in ("convolution", "convolution_backward"):
            out = _laid_out(name, args, out)
        self.by_name[name] += 1
        self.bytes += sum(item.nbytes for item in tree_leaves((args, kwargs, out)) if isinstance(item, Tensor))
        return out


@dataclass(frozen=True, slots=True)
class StepCount:
    """The kernels of a training step.

    Args:
        forward: of the model.
        loss: of the head's loss.
        backward: of both.
        unused: names of the trained parameters that get no gradient.
    """

    forward: KernelCount
    loss: KernelCount
    backward: KernelCount
    unused: tuple[str, ...]


def count_step(model: Model, input: Tensor, target: Tensor) -> StepCount:
    """Count the kernels of a training step; the model stays on the meta device, in training mode, with gradients.

    Args:
        model: on the meta device.
        input: (B, C, *S), on the meta device.
        target: what its head's loss takes, on the meta device.

    Raises:
        RuntimeError, NotImplementedError: the step reads a value, or mixes devices.
    """
    model.train()
    forward, loss, backward = KernelCount(), KernelCount(), KernelCount()
    with forward:
        output = model(input)
    with loss:
        value = model.head.loss(output, target)["loss"]
    with backward:
        torch.autograd.backward(value)
    trained = (item for item in model.named_parameters() if item[1].requires_grad)
    return StepCount(forward, loss, backward, tuple(name for name, parameter in trained if parameter.grad is None))


def _laid_out(name: str, args: Sequence[Any], out: Any) -> Any:
    """The output of a convolution, or its gradients by input and kernel, in the memory format that cuDNN has."""
    first, second = args[:2] if name == "convolution" else args[1:3]
    last = CHANNELS_LAST.get(first.ndim)
    if last is None or not any(_has_channels_last(item, last) for item in (first, second)):
        return out
    if isinstance(out, Tensor):
        return out.contiguous(memory_format=last)
    return [
        item.contiguous(memory_format=last) if item is not None and item.ndim == first.ndim else item for item in out
    ]


def _has_channels_last(item: Tensor, memory_format: torch.memory_format) -> bool:
    return item.is_contiguous(memory_format=memory_format) and not item.is_contiguous()
