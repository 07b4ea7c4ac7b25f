"""Layers that are faster or righter than torch's, against torch's."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from medvid.models.fast.average_pool import AveragePool3d, average_in_turn
from medvid.models.fast.depthwise import depthwise_conv3d
from medvid.models.fast.instance_norm import ChannelNorm, InstanceNorm3d
from medvid.models.fast.standardise import as_layer_norm, standardised


@pytest.mark.parametrize("affine", [False, True])
def test_the_instance_norm_of_large_maps_is_precise(affine: bool) -> None:
    torch.manual_seed(0)
    norm = InstanceNorm3d(2, affine=affine)
    x = (3 * torch.randn(2, 2, 64, 64, 48) + 2).to(memory_format=torch.channels_last_3d).requires_grad_()
    exact = x.detach().double().contiguous().requires_grad_()
    out, expected = norm(x), functional.instance_norm(exact)
    assert (out - expected).abs().max() < 2e-6  # torch's own of a batch in this memory format: 1e-4
    weights = torch.randn_like(x)
    (gradient,) = torch.autograd.grad((out * weights).sum(), x)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), exact)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arguments", [{}, {"affine": True}, {"track_running_stats": True}])
def test_gradients_of_a_single_example_are_right_in_any_memory_format(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    norm = InstanceNorm3d(4, **arguments).double()
    x, weights = torch.randn(2, 1, 4, 6, 6, 6, dtype=torch.float64)
    gradients = []
    for memory_format in (torch.contiguous_format, torch.channels_last_3d):
        leaf = x.clone(memory_format=memory_format).requires_grad_()
        gradients += torch.autograd.grad(norm(leaf), leaf, weights.contiguous(memory_format=memory_format))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("examples", [1, 2])
def test_the_norm_of_shortcuts_is_a_group_norm_in_any_memory_format(examples: int) -> None:
    torch.manual_seed(0)
    norm, reference = ChannelNorm(8, eps=1e-5, affine=True).double(), nn.GroupNorm(8, 8).double()
    x, weights = torch.randn(2, examples, 8, 6, 6, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(reference(leaf), leaf, weights)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        leaf = x.clone(memory_format=memory_format).requires_grad_()
        out = norm(leaf)
        torch.testing.assert_close(out, reference(x))
        (gradient,) = torch.autograd.grad(out, leaf, weights.contiguous(memory_format=memory_format))
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_kernels_are_standardised_alike_on_all_devices(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    kernel = (0.1 * torch.randn(6, 5, 3, 3, dtype=torch.float64) + 0.02).contiguous(memory_format=memory_format)
    kernel.requires_grad_()
    found, wanted = as_layer_norm(kernel), standardised(kernel)
    torch.testing.assert_close(found, wanted)
    weights = torch.randn_like(wanted)
    gradients = [torch.autograd.grad((item * weights).sum(), kernel)[0] for item in (found, wanted)]
    torch.testing.assert_close(*gradients)
    assert as_layer_norm(kernel.contiguous(memory_format=torch.channels_last)).is_contiguous(
        memory_format=torch.channels_last
    )


@pytest.mark.parametrize(
    ("kernel", "stride"),
    [
        ((3, 3, 3), (1, 1, 1)),
        ((3, 3, 3), (1, 2, 2)),
        ((1, 9, 9), (1, 8, 8)),
        ((5, 3, 1), (3, 1, 2)),
        ((2, 4, 5), (1, 3, 4)),
    ],
)
def test_gradients_of_the_depthwise_convolution_are_torchs(kernel: Any, stride: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 4, 5, 12, 11, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.rand(4, 1, *kernel, generator=generator, dtype=torch.float64).requires_grad_()
    padding = tuple(width // 2 for width in kernel)
    expected = functional.conv3d(x, weight, None, stride, padding, groups=4)
    ours = depthwise_conv3d(x, weight, stride, padding)
    seed = torch.rand(ours.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(ours, expected)
    for one, other in zip(*(torch.autograd.grad(y, [x, weight], seed) for y in (ours, expected)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "windows",
    [
        ((3, 3, 3), (1, 2, 2), (1, 1, 1)),
        ((1, 2, 2), (1, 2, 2), (0, 1, 1)),
        ((3, 5, 2), (2, 3, 1), (1, 2, 1)),
    ],
)
def test_averages_in_turn_are_those_over_all_axes(windows: Any) -> None:
    x = torch.randn(2, 3, 4, 6, 7, dtype=torch.float64).contiguous(memory_format=torch.channels_last_3d)
    x.requires_grad_()
    wanted, found = AveragePool3d(*windows)(x), average_in_turn(x, *windows)
    torch.testing.assert_close(found, wanted)
    grad = torch.randn_like(wanted)
    torch.testing.assert_close(*(torch.autograd.grad(out, x, grad)[0] for out in (found, wanted)))


def test_elsewhere_than_on_cpus_averages_are_those_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "avg_pool3d", None)  # its gradient is not deterministic there
    pooled = AveragePool3d((3, 3, 3), (1, 2, 2), (1, 1, 1))(torch.zeros(2, 3, 4, 6, 7, device="meta"))
    assert pooled.shape == (2, 3, 4, 3, 4)
