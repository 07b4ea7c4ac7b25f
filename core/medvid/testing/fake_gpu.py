"""Devices without values: the meta device, and a GPU that is not there. What waits for a value fails on them.

Both know shapes, types and memory formats. The meta device goes the whole way, forward and back, but forgives a tensor
of another device here and there. The fake GPU forgives none, and has autocast; its backward pass would need a driver.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medvid.testing.check import expect

META = torch.device("meta")
GPU = torch.device("cuda", 0)


@contextmanager
def fake_gpu(*modules: nn.Module) -> Iterator[None]:
    """Within the block, `GPU` is a device like any other, and the modules are on it, for good.

    Only for machines without a GPU; with one, try it for real.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)  # those that modules forget to register, too
    with ExitStack() as stack:
        stack.enter_context(patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False))
        stack.enter_context(patch("torch.cuda.is_bf16_supported", return_value=True))
        stack.enter_context(mode)
        for module in modules:
            _move(module, mode)
        yield


@contextmanager
def expect_no_wait(where: str) -> Iterator[None]:
    """Fail the check where the block needs a value of a tensor, or mixes devices.

    Args:
        where: how the sentence of a failure begins, e.g. ``"on the meta device"``.
    """
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        expect(False, f"{where} it fails, as a GPU would or would have to wait: {type(error).__name__}: {reason}")


class NoMixing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises where an operation gets tensors of the CPU and of the meta device, which forgives it as no GPU does.

    Copies may; and single numbers of the CPU, which travel with the launch of a kernel.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        found = {each.device.type for each in tensors if each.ndim or each.is_meta}
        if len(found) > 1 and func not in _COPIES:
            raise RuntimeError(f"{func} gets tensors of {' and '.join(sorted(found))}")
        return func(*args, **(kwargs or {}))


_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


def _move(module: nn.Module, mode: FakeTensorMode) -> None:
    """Give all parts of a module fake parameters and buffers; `Module.to` cannot swap real ones for fake ones."""
    moved: dict[int, Tensor] = {}  # a parameter may be shared

    def fake(item: Tensor) -> Tensor:
        if id(item) not in moved:
            twin = mode.from_tensor(item).detach().to(GPU)
            moved[id(item)] = nn.Parameter(twin, item.requires_grad) if isinstance(item, nn.Parameter) else twin
        return moved[id(item)]

    for part in module.modules():
        groups: list[dict[str, Any]] = [part._parameters, part._buffers]
        for group in groups:
            group.update({name: fake(item) for name, item in group.items() if item is not None})
