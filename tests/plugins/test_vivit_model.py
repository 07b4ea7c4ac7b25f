"""The ViViT backbone: what each of its models lets attend to what. Numbers are compared in tests/parity."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from medvid.plugin.info import InputInfo
from medvid_vivit.blocks import FactorisedDotProductAttention, FactorisedSelfAttentionBlock
from medvid_vivit.config import ViViTOptions
from medvid_vivit.model import ViViT

MODELS = ("joint", "factorised_encoder", "factorised_self_attention", "factorised_dot_product")
SMALL: Mapping[str, Any] = {
    "num_frames": 6,
    "image_size": (8, 12),
    "tubelet_size": (2, 4, 4),
    "hidden_size": 24,
    "mlp_dim": 32,
    "num_heads": 4,
    "num_layers": 3,
    "temporal_num_layers": 2,
}


def build(channels: int = 3, **options: Any) -> ViViT:
    torch.manual_seed(0)
    checked = ViViTOptions(name="vivit", **{**SMALL, **options})
    return ViViT(checked, InputInfo("video", channels, checked.input_size))


def clips(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, 6, 8, 12, generator=torch.Generator().manual_seed(1))


def embedding_of(backbone: ViViT, input: Tensor) -> Tensor:
    embedding = backbone(input).embedding
    assert embedding is not None
    return embedding


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [{}, {"classifier": "gap", "taps": (0, 2), "representation_size": 10}])
def test_features_are_as_declared_and_all_parameters_are_used(model: str, options: dict[str, Any]) -> None:
    backbone = build(channels=1, model=model, **options)
    features, info = backbone(clips(channels=1)), backbone.feature_info
    assert len(features.maps) == len(info.maps) == 1 + len(options.get("taps", ()))
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        assert feature_map.shape == (2, declared.channels, 3, 2, 3)
        assert declared.stride == (2, 4, 4)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)
    loss = features.embedding.square().sum() + sum(feature_map.square().sum() for feature_map in features.maps)
    loss.backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize("model", MODELS)
def test_precisions(model: str) -> None:
    backbone = build(model=model)
    expected = embedding_of(backbone, clips())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(embedding_of(backbone, clips()), expected, atol=0.1, rtol=0.1, check_dtype=False)
    assert embedding_of(backbone.double(), clips().double()).dtype == torch.float64


@pytest.mark.parametrize("model", MODELS)
def test_which_time_indices_a_map_sees(model: str) -> None:
    backbone, one, other = build(model=model), clips(), clips()
    other[:, :, 4:] = 0  # the last of three time indices
    (seen,), (changed,) = backbone(one).maps, backbone(other).maps
    assert not torch.allclose(seen[:, :, 2], changed[:, :, 2])
    assert torch.equal(seen[:, :, :2], changed[:, :, :2]) == (model == "factorised_encoder")
    assert not torch.allclose(embedding_of(backbone, one), embedding_of(backbone, other))


def test_the_tubelet_projection_is_a_convolution() -> None:
    embedding = build(channels=2).tubelet_embedding
    kernel = embedding.projection.weight.reshape(-1, 2, 4, 4, 2).movedim(-1, 1)
    expected = functional.conv3d(clips(2), kernel, embedding.projection.bias, stride=(2, 4, 4))
    torch.testing.assert_close(embedding(clips(2)), expected.flatten(2).transpose(1, 2))


def test_maps_are_the_tapped_blocks_and_the_norm_without_the_class_token() -> None:
    backbone = build(taps=(0, 2))
    seen: dict[str, Tensor] = {}
    modules: dict[str, nn.Module] = {"0": backbone.encoder.blocks[0], "2": backbone.encoder.blocks[2]}
    for name, module in (modules | {"norm": backbone.encoder.norm}).items():
        module.register_forward_hook(lambda _module, _args, output, name=name: seen.__setitem__(name, output))
    features = backbone(clips())
    for feature_map, tokens in zip(features.maps, seen.values(), strict=True):
        assert torch.equal(feature_map.flatten(2).transpose(1, 2), tokens[:, 1:])
    assert torch.equal(features.embedding, seen["norm"][:, 0])


@pytest.mark.parametrize(
    ("classifier", "pool"),
    [
        ("gap", lambda tokens: tokens.mean(2)),
        ("gmp", lambda tokens: tokens.amax(2)),
        ("gsp", lambda tokens: tokens.sum(2)),
        ("0", lambda tokens: tokens[:, :, 0]),
    ],
)
def test_pooling(classifier: str, pool: Any) -> None:
    features = build(classifier=classifier)(clips())
    torch.testing.assert_close(features.embedding, pool(features.maps[-1].flatten(2)))


def test_the_spatial_baseline_averages_over_time() -> None:
    backbone = build(model="factorised_encoder", spatial_only_baseline=True, classifier="gap")
    features = backbone(clips())
    assert backbone.temporal_encoder is None
    torch.testing.assert_close(features.embedding, features.maps[-1].mean((2, 3, 4)))
    flipped = clips().unflatten(2, (3, 2)).flip(2).flatten(2, 3)
    torch.testing.assert_close(embedding_of(backbone, flipped), features.embedding)


def test_the_temporal_encoder_knows_the_order() -> None:
    backbone = build(model="factorised_encoder")
    assert backbone.temporal_encoder is not None
    nn.init.normal_(backbone.temporal_encoder.positions)  # large enough for a difference beyond rounding
    flipped = clips().unflatten(2, (3, 2)).flip(2).flatten(2, 3)
    difference = embedding_of(backbone, flipped) - embedding_of(backbone, clips())
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("order", ["time_space", "space_time"])
def test_factorised_self_attention_in_either_order(order: str) -> None:
    backbone = build(model="factorised_self_attention", attention_order=order)
    block = backbone.encoder.blocks[0]
    assert isinstance(block, FactorisedSelfAttentionBlock)
    x = expected = torch.rand(2, 18, 24)
    steps = {"time": (block.norm_time, block.attn_time, 1), "space": (block.norm1, block.attn, 2)}
    for name in order.split("_"):
        norm, attention, axis = steps[name]
        grid = expected.reshape(2, 3, 6, 24)
        lines = norm(grid).unbind(3 - axis)  # attention along one axis, one line of the other at a time
        expected = expected + torch.stack([attention(line) for line in lines], dim=3 - axis).flatten(1, 2)
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(x), expected)


def test_factorised_dot_products_split_the_heads() -> None:
    attention = FactorisedDotProductAttention(24, 4, frames=3)
    x = torch.rand(2, 18, 24)
    time, place = torch.arange(18) // 6, torch.arange(18) % 6
    same_place, same_time = place[:, None] == place, time[:, None] == time
    query, key, value = attention.qkv(x).reshape(2, 18, 3, 4, 6).permute(2, 0, 3, 1, 4)
    mask = torch.stack([same_place, same_place, same_time, same_time])  # two heads along time, two within a frame
    scores = (query @ key.mT / 6**0.5).masked_fill(~mask, -torch.inf)
    expected = attention.proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


@pytest.mark.parametrize("option", ["dropout_rate", "attention_dropout_rate", "stochastic_droplayer_rate"])
@pytest.mark.parametrize("model", MODELS)
def test_dropout_is_for_training_only(model: str, option: str) -> None:
    backbone, plain = build(model=model, **{option: 0.5}), build(model=model)
    assert not torch.equal(embedding_of(backbone, clips()), embedding_of(backbone, clips()))
    assert torch.equal(embedding_of(backbone.eval(), clips()), embedding_of(plain, clips()))


@pytest.mark.parametrize("model", MODELS)
def test_skipped_layers_leave_examples_alone(model: str) -> None:
    backbone = build(model=model, stochastic_droplayer_rate=0.999999)
    block, x = backbone.encoder.blocks[-1], torch.rand(2, 18, 24)
    assert torch.equal(block(x), x)


def test_options_of_the_published_configurations_have_an_effect() -> None:
    state, expected = build().state_dict(), embedding_of(build(), clips())
    for option in ({"gelu": "none"}, {"layer_norm_eps": 0.1}):
        backbone = build(**option)
        backbone.load_state_dict(state)
        assert not torch.equal(embedding_of(backbone, clips()), expected)
    assert "encoder.blocks.0.attn.qkv.bias" not in build(qkv_bias=False).state_dict()
    assert "encoder.blocks.0.attn_time.qkv.bias" not in (
        build(qkv_bias=False, model="factorised_self_attention").state_dict()
    )


def test_layers_and_tables_are_named_in_order() -> None:
    backbone = build(model="factorised_encoder")
    assert backbone.temporal_encoder is not None
    assert list(backbone.layers) == [*backbone.encoder.blocks, *backbone.temporal_encoder.blocks]
    parts = ("encoder", "temporal_encoder")
    tables = {f"{part}.{table}" for part in parts for table in ("positions", "class_token")}
    assert set(backbone.no_weight_decay) == tables <= set(dict(backbone.named_parameters()))
    assert list(build(classifier="gap").no_weight_decay) == ["encoder.positions"]


def test_the_initialisation_is_the_published_one() -> None:
    backbone = build(hidden_size=240, mlp_dim=480)
    block, edge = backbone.encoder.blocks[0], (6 / 480) ** 0.5
    for weight in block.attn.qkv.weight.chunk(3):  # of its own shape each, not of the three together
        assert weight.abs().max().item() == pytest.approx(edge, rel=0.01)
    assert (block.attn.qkv.bias == 0).all()
    assert 0 < block.mlp.fc1.bias.abs().max() < 1e-5
    assert backbone.tubelet_embedding.projection.weight.std().item() == pytest.approx(0.88 * 96**-0.5, rel=0.02)
    assert backbone.encoder.positions.std().item() == pytest.approx(0.02, rel=0.05)


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for clips of size \[6, 8, 12\], not \[4, 8, 12\]"):
        build()(torch.rand(1, 3, 4, 8, 12))


@pytest.mark.parametrize(("model", "giga"), [*zip(MODELS, (451.5, 283.3, 371.1, 276.2), strict=True)])
def test_full_size_has_the_published_multiply_adds(model: str, giga: float) -> None:
    options = ViViTOptions.model_validate({"name": "vivit", "model": model})
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        ViViT(options, InputInfo("video", 3, options.input_size))(torch.empty(1, 3, 32, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=0.05)
