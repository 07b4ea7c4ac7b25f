"""The TransUNet backbone: shapes, what it declares, and its parts. Numbers are compared in tests/parity."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from medvid.plugin.info import InputInfo
from medvid_transunet.config import TransUNetOptions
from medvid_transunet.model import TransUNet
from medvid_transunet.resnet import StdConv2d

HYBRID: dict[str, Any] = {"resnet": {"num_layers": (1, 2, 1), "width_factor": 0.5}}
PURE: dict[str, Any] = {"resnet": None}


def build(*, channels: int = 1, **options: Any) -> TransUNet:
    torch.manual_seed(0)
    small = {"img_size": (32, 48), "hidden_size": 12, "mlp_dim": 16, "num_heads": 2, "num_layers": 2, **HYBRID}
    checked = TransUNetOptions.model_validate({"name": "transunet"} | small | options)
    return TransUNet(checked, InputInfo("image", channels, checked.img_size))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("options", "strides"),
    [
        (HYBRID, [2, 4, 8, 16]),
        ({"img_size": (64, 32), "patch_size": 32, **HYBRID}, [2, 4, 8, 32]),
        ({"img_size": (80, 16), **HYBRID}, [2, 4, 8, 16]),
        (PURE, [16]),
        ({"img_size": (28, 14), "patch_size": 14, **PURE}, [14]),
    ],
)
def test_features_are_as_declared(channels: int, options: dict[str, Any], strides: list[int]) -> None:
    backbone = build(channels=channels, **options)
    features, info = backbone(torch.rand(2, channels, *backbone.img_size)), backbone.feature_info
    assert [declared.stride for declared in info.maps] == [(stride, stride) for stride in strides]
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [length // stride for length, stride in zip(backbone.img_size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)
    torch.testing.assert_close(features.embedding, features.maps[-1].flatten(2).mean(-1))


@pytest.mark.parametrize("options", [HYBRID, PURE])
def test_every_parameter_gets_a_gradient(options: dict[str, Any]) -> None:
    backbone = build(**options)
    maps = backbone(torch.rand(2, 1, 32, 48)).maps
    loss = torch.stack([feature_map.square().mean() for feature_map in maps]).sum()
    gradients = torch.autograd.grad(loss, list(backbone.parameters()), allow_unused=True)
    without = [name for (name, _), grad in zip(backbone.named_parameters(), gradients, strict=True) if grad is None]
    assert without == []


def test_one_channel_is_repeated_to_three() -> None:
    gray, colour = build(channels=1).eval(), build(channels=3).eval()
    image = torch.rand(2, 1, 32, 48)
    for ours, expected in zip(gray(image).maps, colour(image.repeat(1, 3, 1, 1)).maps, strict=True):
        assert torch.equal(ours, expected)


def test_kernels_are_standardised_with_a_biased_variance() -> None:
    conv = StdConv2d(4, 6, 3, stride=2, padding=1, bias=False).double()
    image = torch.rand(2, 4, 9, 9, dtype=torch.float64)
    kernel = conv.weight
    variance, mean = torch.var_mean(kernel, dim=(1, 2, 3), correction=0, keepdim=True)
    expected = functional.conv2d(image, (kernel - mean) / (variance + 1e-5).sqrt(), stride=2, padding=1)
    torch.testing.assert_close(conv(image), expected)


def test_the_quarter_map_is_filled_up_with_zeros() -> None:
    quarter = build()(torch.rand(1, 1, 32, 48)).maps[1]
    assert quarter.shape[2:] == (8, 12)
    assert (quarter[:, :, -1] == 0).all()
    assert (quarter[:, :, :, -1] == 0).all()
    assert (quarter[:, :, -2] != 0).any()


def test_rows_and_columns_of_the_grid_stay_apart() -> None:
    """Positions are added row by row: a token's position shows where its patch is."""
    backbone = build(**PURE, num_layers=1)
    state = {name: torch.zeros_like(tensor) for name, tensor in backbone.state_dict().items()}
    state["patch_embedding.positions"][0, :, 0] = torch.tensor([0.0, 0, 0, 0, 1, 0])
    backbone.load_state_dict(state | {"norm.weight": torch.ones(12)})
    assert backbone.eval()(torch.rand(1, 1, 32, 48)).maps[0][0, 0].round().tolist() == [[0, 0, 0], [0, 3, 0]]


def test_initialisation_is_the_published_one() -> None:
    backbone = build(hidden_size=96, mlp_dim=192)
    assert (backbone.patch_embedding.positions == 0).all()
    state = backbone.state_dict()
    assert state["blocks.0.mlp.fc1.weight"].std().item() == pytest.approx((2 / (96 + 192)) ** 0.5, rel=0.05)
    assert 0 < state["blocks.0.mlp.fc2.bias"].abs().max().item() < 1e-5


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for inputs of size \[32, 48\], not \[48, 32\]"):
        build()(torch.rand(1, 1, 48, 32))


@pytest.mark.parametrize("name", ["dropout_rate", "attention_dropout_rate"])
def test_dropout_is_active_in_training_only(name: str) -> None:
    rates: dict[str, Any] = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0, name: 0.5}
    backbone = build(**rates)
    image = torch.rand(1, 1, 32, 48)
    assert not torch.equal(backbone(image).maps[-1], backbone(image).maps[-1])
    backbone.eval()
    assert torch.equal(backbone(image).maps[-1], backbone(image).maps[-1])


@pytest.mark.parametrize("options", [HYBRID, PURE])
def test_precisions_and_memory_formats_agree(options: dict[str, Any]) -> None:
    backbone, image = build(**options).eval(), torch.rand(2, 1, 32, 48)
    expected = backbone(image).maps[-1]
    with torch.autocast("cpu", torch.bfloat16):
        low = backbone(image).maps[-1]
    assert (low - expected).norm() < 0.05 * expected.norm()
    backbone.to(memory_format=torch.channels_last)
    last = backbone(image.to(memory_format=torch.channels_last)).maps[-1]
    torch.testing.assert_close(last, expected, atol=1e-5, rtol=1e-5)
    double = backbone.double()(image.double()).maps[-1]
    assert double.dtype == torch.float64
    torch.testing.assert_close(double, expected.double(), atol=1e-4, rtol=1e-4)
