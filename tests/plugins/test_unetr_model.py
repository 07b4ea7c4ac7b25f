"""The UNETR backbone: shapes, what it declares, and how patches are cut. Numbers are compared in tests/parity."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.plugin.info import InputInfo
from medvid_unetr.config import UNETROptions
from medvid_unetr.model import UNETR


def build(channels: int = 1, **options: Any) -> UNETR:
    torch.manual_seed(0)
    small = {"img_size": (16, 8, 8), "patch_size": 4, "hidden_size": 12, "mlp_dim": 16, "num_heads": 2}
    checked = UNETROptions(**({"name": "unetr", "num_layers": 4, "taps": (0, 2)} | small | options))
    return UNETR(checked, InputInfo("volume" if len(checked.img_size) == 3 else "image", channels, checked.img_size))


@pytest.mark.parametrize(("size", "channels"), [((16, 8, 8), 1), ((8, 12), 3)])
def test_features_are_as_declared(size: tuple[int, ...], channels: int) -> None:
    backbone = build(channels, img_size=size)
    features = backbone(torch.rand(2, channels, *size))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 3
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [length // stride for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)
    torch.testing.assert_close(features.embedding, features.maps[-1].flatten(2).mean(-1))


def test_maps_are_the_tapped_blocks_and_the_norm() -> None:
    backbone = build()
    seen: dict[str, Tensor] = {}
    modules = {"0": backbone.blocks[0], "2": backbone.blocks[2], "norm": backbone.norm}
    for name, module in modules.items():
        module.register_forward_hook(lambda _module, _args, output, name=name: seen.__setitem__(name, output))
    maps = backbone(torch.rand(1, 1, 16, 8, 8)).maps
    for feature_map, tokens in zip(maps, seen.values(), strict=True):
        assert torch.equal(feature_map.flatten(2).transpose(1, 2), tokens)


def test_the_patch_projection_is_a_convolution() -> None:
    backbone = build(channels=2)
    embedding = backbone.patch_embedding
    nn.init.zeros_(embedding.positions)
    kernel = embedding.projection.weight.reshape(-1, 4, 4, 4, 2).movedim(-1, 1)
    volume = torch.rand(2, 2, 16, 8, 8)
    expected = nn.functional.conv3d(volume, kernel, embedding.projection.bias, stride=4)
    torch.testing.assert_close(embedding(volume), expected.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(("proj_type", "spread"), [("perceptron", 0.02), ("conv", 1 / math.sqrt(3 * 64))])
def test_proj_type_chooses_the_initialisation(proj_type: str, spread: float) -> None:
    projection = build(hidden_size=240, proj_type=proj_type).patch_embedding.projection
    assert projection.weight.std().item() == pytest.approx(spread, rel=0.05)
    assert (projection.bias == 0).all() == (proj_type == "perceptron")


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for inputs of size \[16, 8, 8\], not \[8, 8, 8\]"):
        build()(torch.rand(1, 1, 8, 8, 8))


def test_without_taps_there_is_one_map() -> None:
    assert len(build(taps=())(torch.rand(1, 1, 16, 8, 8)).maps) == 1


def test_dropout_reaches_tokens_and_blocks() -> None:
    backbone = build(dropout_rate=0.5)
    volume = torch.rand(1, 1, 16, 8, 8)
    assert not torch.equal(backbone(volume).maps[0], backbone(volume).maps[0])
    backbone.eval()
    assert torch.equal(backbone(volume).maps[0], backbone(volume).maps[0])
