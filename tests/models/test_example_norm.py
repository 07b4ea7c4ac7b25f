"""The instance norm of many examples at once, which devices other than CPUs use, against torch's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.fast.example_norm import FEW, LARGE, ExampleNorm
from medvid.models.fast.instance_norm import INSTANCE_NORM


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    size=st.lists(st.integers(2, 5), min_size=2, max_size=3),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_it_is_torchs_in_value_gradient_and_memory_format(
    batch: int, channels: int, size: list[int], channels_last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, weights = 3 * torch.randn(2, batch, channels, *size, dtype=torch.float64, generator=generator) + 2
    exact = x.clone().requires_grad_()
    wanted = functional.instance_norm(exact)
    memory_format = CHANNELS_LAST[x.ndim] if channels_last else torch.contiguous_format
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    found = ExampleNorm.apply(x, 1e-5)
    torch.testing.assert_close(found, wanted)
    assert found.is_contiguous(memory_format=memory_format)
    (gradient,) = torch.autograd.grad((found * weights).sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad((wanted * weights).sum(), exact)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_statistics_of_low_precision_are_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (3 * torch.randn(6, 8, 40, 50) + 20).to(dtype).requires_grad_()
    found, exact = ExampleNorm.apply(x, 1e-5), functional.instance_norm(x.detach().double())
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-6)
    for scale in (1, 2e4):  # products with the latter overflow in float16
        grad = scale * torch.rand_like(x)
        (gradient,) = torch.autograd.grad(found, x, grad, retain_graph=True)
        double = x.detach().double().requires_grad_()
        (wanted,) = torch.autograd.grad(functional.instance_norm(double), double, grad.double())
        torch.testing.assert_close(gradient.double(), wanted, rtol=0, atol=torch.finfo(dtype).eps * scale)


@pytest.mark.parametrize("size", [(8, 8), (4, 4, 4)])
def test_it_is_used_for_many_small_examples_elsewhere_than_on_cpus(size: tuple[int, ...]) -> None:
    norm = INSTANCE_NORM[len(size)](2)
    for batch, length, device, used in [
        (FEW + 1, size[0], "meta", True),
        (FEW, size[0], "meta", False),
        (FEW + 1, LARGE, "meta", False),
        (FEW + 1, size[0], "cpu", False),
    ]:
        x = torch.empty(batch, 2, length, *size[1:], device=device).contiguous(
            memory_format=CHANNELS_LAST[2 + len(size)]
        )
        name = type(norm(x.requires_grad_()).grad_fn).__name__
        assert name.startswith("ExampleNorm") == used
