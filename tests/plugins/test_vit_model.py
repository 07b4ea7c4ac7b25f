"""The ViT for images: shapes, what it declares, and agreement with timm's where that is installed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from medvid.plugin.info import InputInfo
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT


def build(channels: int = 3, **options: Any) -> Any:
    torch.manual_seed(0)
    small = {"img_size": (16, 24), "patch_size": 8, "embed_dim": 12, "depth": 3, "num_heads": 2}
    checked = ViTOptions(**({"name": "vit"} | small | options))
    return ViT(checked, InputInfo("image", channels, checked.img_size))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("taps", [(), (0, 1)])
def test_features_are_as_declared(channels: int, taps: tuple[int, ...]) -> None:
    backbone = build(channels, taps=taps)
    features = backbone(torch.rand(2, channels, 16, 24))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 1 + len(taps)
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        assert feature_map.shape == (2, declared.channels, 16 // declared.stride[0], 24 // declared.stride[1])
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


def test_maps_are_the_tapped_blocks_and_the_norm_and_the_embedding_is_the_class_token() -> None:
    backbone = build(taps=(0, 2))
    seen: list[Tensor] = []
    for module in (backbone.blocks[0], backbone.blocks[2], backbone.norm):
        module.register_forward_hook(lambda _module, _args, output: seen.append(output))
    features = backbone(torch.rand(1, 3, 16, 24))
    for feature_map, tokens in zip(features.maps, seen, strict=True):
        assert torch.equal(feature_map.flatten(2).transpose(1, 2), tokens[:, 1:])
    assert features.embedding is not None
    assert torch.equal(features.embedding, seen[-1][:, 0])


def test_patches_are_in_reading_order() -> None:
    backbone = build()
    image = torch.zeros(1, 3, 16, 24)
    image[:, :, :8, 16:] = 1  # the third patch of the first row
    tokens = backbone.patch_embedding(image)
    bias = backbone.patch_embedding.projection.bias
    assert [index for index in range(6) if not torch.allclose(tokens[0, index], bias)] == [2]


@pytest.mark.parametrize(
    ("options", "size"),
    [({"mlp_ratio": 2.0}, 24), ({"mlp_ratio": 4.0}, 48)],
)
def test_mlp_ratio_sets_the_width_of_the_mlp(options: dict[str, Any], size: int) -> None:
    assert build(**options).blocks[0].mlp.fc1.out_features == size


def test_eps_qkv_bias_and_drop_path_reach_the_blocks() -> None:
    backbone = build(eps=1e-3, qkv_bias=False, drop_path_rate=0.5)
    assert {block.norm1.eps for block in backbone.blocks} == {backbone.norm.eps} == {1e-3}
    assert all(block.attn.qkv.bias is None for block in backbone.blocks)
    assert [block.drop_path.p for block in backbone.blocks] == [0, 0.25, 0.5]


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for inputs of size \[16, 24\], not \[24, 16\]"):
        build()(torch.rand(1, 3, 24, 16))


def test_layers_and_tables() -> None:
    backbone = build()
    assert list(backbone.layers) == list(backbone.blocks)
    assert set(backbone.no_weight_decay) <= set(dict(backbone.named_parameters()))


def test_every_parameter_gets_a_gradient() -> None:
    backbone = build().double()
    embedding = backbone(torch.rand(2, 3, 16, 24, dtype=torch.float64)).embedding
    assert embedding is not None
    embedding.square().sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []
