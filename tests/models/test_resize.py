from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.resize import LinearResize, resize
from medvid.testing.kernels import KernelCount

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}

lengths = st.integers(1, 7)
sizes = st.lists(st.tuples(lengths, lengths), min_size=1, max_size=3)


def interpolate(x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    return functional.interpolate(x, list(size), mode=MODES[x.ndim - 2], align_corners=align_corners)


def memory_format(axes: int, channels_last: bool) -> torch.memory_format:
    return CHANNELS_LAST.get(2 + axes, torch.contiguous_format) if channels_last else torch.contiguous_format


@given(sizes, st.booleans(), st.booleans(), st.booleans(), st.sampled_from([*TOLERANCE]))
def test_gradients_are_those_of_torch_in_the_same_format(
    axes: list[tuple[int, int]], align_corners: bool, channels_last: bool, grad_channels_last: bool, dtype: torch.dtype
) -> None:
    before, after = zip(*axes, strict=True)
    layout = memory_format(len(axes), channels_last)
    x = torch.randn(2, 3, *before, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    resized: Tensor = LinearResize.apply(x, after, align_corners)
    assert torch.equal(resized, interpolate(x, after, align_corners)), "the same kernel"
    assert torch.equal(resize(x, after, align_corners=align_corners), resized)
    grad_layout = memory_format(len(axes), grad_channels_last)
    grad = torch.randn_like(resized, memory_format=torch.contiguous_format).contiguous(memory_format=grad_layout)
    (found,) = torch.autograd.grad(resized, x, grad)
    (wanted,) = torch.autograd.grad(interpolate(x.double(), after, align_corners), x, grad.double())
    torch.testing.assert_close(found, wanted.to(dtype), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10)
    if grad.is_contiguous() is not grad_channels_last and min(*before, *after) > 1:  # else something is in both formats
        assert found.is_contiguous(memory_format=grad_layout)


def test_what_has_the_size_already_is_returned_as_it_is() -> None:
    x = torch.randn(1, 2, 3, 4)
    assert resize(x, x.shape[2:]) is x
    assert resize(x, [3, 4], align_corners=True) is x


@contextmanager
def deterministic() -> Any:
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def cost(method: Callable[[Tensor], Tensor], x: Tensor) -> KernelCount:
    """Of the operation and its gradient, which is laid out as its output."""
    with deterministic():
        grad = torch.empty_like(method(x))
        with KernelCount() as counter:
            method(x).backward(grad)
    return counter


@pytest.mark.parametrize(
    ("shape", "size"),
    [((4, 14, 6, 6, 6), (96, 96, 96)), ((24, 512, 28, 28), (56, 56)), ((3, 256, 56, 56, 8), (112, 112, 8))],
)
def test_where_torch_has_to_be_deterministic_it_costs_what_it_costs_elsewhere(
    shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    x = torch.empty(shape, device="meta").contiguous(memory_format=CHANNELS_LAST[len(shape)]).requires_grad_()
    ours, torchs = (cost(method, x) for method in (lambda x: resize(x, size), lambda x: interpolate(x, size, False)))
    assert not any("backward" in name or "index" in name for name in ours.by_name)
    assert ours.kernels <= 1 + 3 * len(size), ours.by_name
    smallest = 4 * 2 * (x.numel() + x.numel() // x[0, 0].numel() * torch.Size(size).numel())
    assert smallest <= ours.bytes <= 1.6 * smallest, "each value is read and written about once, there and back"
    assert torchs.bytes > 9 * ours.bytes


def test_it_is_one_graph_under_compile() -> None:
    x = torch.randn(2, 3, 4, 5, requires_grad=True)

    def tripled(x: Tensor) -> Tensor:
        resized: Tensor = LinearResize.apply(3 * x, (7, 2), True)
        return resized

    compiled = torch.compile(tripled, backend="aot_eager", fullgraph=True)
    found, wanted = (torch.autograd.grad(method(x).square().sum(), x)[0] for method in (compiled, tripled))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_does_what_torch_does(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    with torch.autocast("cpu", dtype):
        found, wanted = (method(x.to(dtype), (8, 10), False) for method in (LinearResize.apply, interpolate))
    assert torch.equal(found, wanted)
    assert found.dtype == wanted.dtype
    grad = torch.randn_like(found)
    torch.testing.assert_close(*(torch.autograd.grad(out, x, grad)[0] for out in (found, wanted)), rtol=0.02, atol=0.02)
