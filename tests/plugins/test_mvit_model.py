"""The MViT backbone: shapes, what it declares, pooling and positions. Numbers are compared in tests/parity."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from medvid.plugin.info import InputInfo
from medvid_mvit.attention import PoolingAttention, RelativePositions, distances, resize_table
from medvid_mvit.config import MViTOptions
from medvid_mvit.geometry import Pooling
from medvid_mvit.model import MViT
from medvid_mvit.pooling import FixedPool, TokenPool

V1: dict[str, Any] = {
    "embed_dim": 16,
    "depth": 4,
    "dim_mul": ((1, 2.0), (2, 2.0)),
    "head_mul": ((1, 2.0),),
    "pool_q_stride": ((1, 1, 2, 2), (2, 2, 2, 2)),
    "pool_kv_stride_adaptive": (2, 4, 4),
}
V2: dict[str, Any] = V1 | {
    "pool_q_stride": ((0, 1, 1, 1), (1, 1, 2, 2), (2, 2, 2, 2), (3, 1, 1, 1)),
    "use_abs_pos": False,
    "rel_pos_spatial": True,
    "rel_pos_temporal": True,
    "residual_pooling": True,
    "dim_mul_in_att": True,
}
VARIANTS = {
    "v1": V1,
    "v2": V2,
    "no class token": V1 | {"cls_embed_on": False},
    "v2 without class token": V2 | {"cls_embed_on": False},
    "joint positions": V1 | {"sep_pos_embed": False, "norm_stem": True, "qkv_bias": False},
    "maximum": V2 | {"pool_mode": "max", "residual_with_cls_embed": True},
    "average": V2 | {"pool_mode": "avg", "rel_pos_spatial": False},
    "pooled, then projected": V2 | {"pool_first": True, "layer_scale_init_value": 0.1},
    "space only": V2 | {"rel_pos_temporal": False},
}
SIZE = (16, 36, 48)


def options(**given: Any) -> MViTOptions:
    return MViTOptions.model_validate({"name": "mvit"} | given)


def build(size: tuple[int, ...] = SIZE, **given: Any) -> MViT:
    torch.manual_seed(0)
    return MViT(options(**(V1 | given)), InputInfo("video", 3, size))


def clip(size: tuple[int, ...] = SIZE) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("given", VARIANTS.values(), ids=VARIANTS)
def test_features_are_as_declared_and_every_parameter_counts(given: dict[str, Any]) -> None:
    backbone = build(**given)
    features, info = backbone(clip()), backbone.feature_info
    assert [one.stride for one in info.maps] == [(2, 4, 4), (2, 8, 8), (4, 16, 16)]
    assert [one.channels for one in info.maps] == ([16, 32, 64] if given.get("dim_mul_in_att") else [32, 64, 64])
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [-(-length // stride) for length, stride in zip(SIZE, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)
    sum(feature_map.square().sum() for feature_map in features.maps).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_the_embedding_is_the_class_token_or_the_mean() -> None:
    backbone = build()
    seen: list[Tensor] = []
    backbone.norm.register_forward_hook(lambda _module, _args, output: seen.append(output))
    features = backbone(clip())
    assert torch.equal(features.embedding, seen[0][:, 0])
    assert torch.equal(features.maps[-1].flatten(2).transpose(1, 2), seen[0][:, 1:])
    features = build(cls_embed_on=False)(clip())
    torch.testing.assert_close(features.embedding, features.maps[-1].flatten(2).mean(dim=2))


def test_the_mean_can_come_before_the_norm() -> None:
    backbone = build(use_mean_pooling=True)
    seen: list[Tensor] = []
    backbone.blocks[-1].register_forward_hook(lambda _module, _args, output: seen.append(output))
    features = backbone(clip())
    torch.testing.assert_close(features.embedding, backbone.norm(seen[0][:, 1:].mean(1)))


def test_residual_branches_can_be_scaled() -> None:
    plain, scaled = build(), build(layer_scale_init_value=0.1)
    scales = [name for name, _ in scaled.named_parameters() if "gamma" in name]
    assert len(scales) == 2 * len(scaled.blocks)
    scaled.load_state_dict(plain.state_dict(), strict=False)
    assert not torch.allclose(plain(clip()).embedding, scaled(clip()).embedding)
    for name in scales:
        nn.init.ones_(scaled.get_parameter(name))
    torch.testing.assert_close(plain(clip()).embedding, scaled(clip()).embedding)


@pytest.mark.parametrize("separate", [True, False])
def test_tables_for_another_size_are_interpolated_in_each_pass(separate: bool) -> None:
    trained = build((8, 32, 32), sep_pos_embed=separate)
    nn.init.normal_(trained.patch_embedding.class_token)
    tested = build((16, 64, 48), sep_pos_embed=separate, table_size=(8, 32, 32))
    tested.load_state_dict(trained.state_dict())  # the tables stay as they are
    own, seen = trained.patch_embedding._positions(), tested.patch_embedding._positions()
    assert own is not None
    assert seen is not None
    table = own[:, 1:].reshape(1, 4, 8, 8, -1).movedim(-1, 1)
    expected = functional.interpolate(table, (8, 16, 12), mode="trilinear").flatten(2).transpose(1, 2)
    torch.testing.assert_close(seen, torch.cat([own[:, :1], expected], dim=1))
    assert tested(clip((16, 64, 48))).embedding.shape == (2, 64)


def test_maps_are_taken_before_the_next_stage_pools() -> None:
    backbone = build()
    seen: list[Tensor] = []
    for block in backbone.blocks:
        block.register_forward_hook(lambda _module, _args, output: seen.append(output))
    maps = backbone(clip()).maps
    for feature_map, tokens in zip(maps, seen[:2], strict=False):
        assert torch.equal(feature_map.flatten(2).transpose(1, 2), tokens[:, 1:])


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for clips of size \[16, 36, 48\], not \[8, 32, 32\]"):
        build()(clip((8, 32, 32)))


@pytest.mark.parametrize("size", [(4, 32, 32), (6, 20, 52), (1, 17, 31)])
@pytest.mark.parametrize("given", [V1, V2], ids=["v1", "v2"])
def test_it_is_built_for_any_size(given: dict[str, Any], size: tuple[int, int, int]) -> None:
    assert build(size, **given)(clip(size)).embedding.isfinite().all()


def test_drop_path_and_dropout_act_in_training_only() -> None:
    for option in ("droppath_rate", "dropout_rate"):
        backbone = build(size=SIZE, **{option: 0.5})
        assert not torch.equal(backbone(clip()).maps[-1], backbone(clip()).maps[-1])
        backbone.eval()
        assert torch.equal(backbone(clip()).maps[-1], backbone(clip()).maps[-1])
    rates = [module.p for module in build(droppath_rate=0.9).modules() if isinstance(module, StochasticDepth)]
    assert rates == pytest.approx([0, 0.3, 0.6, 0.9])


def test_tables_and_class_token_are_not_decayed() -> None:
    embedding = ["class_token", "class_position", "temporal_positions", "spatial_positions"]
    assert build().no_weight_decay == tuple(f"patch_embedding.{name}" for name in embedding)
    tables = build(**V2).no_weight_decay
    assert tables[:2] == ("patch_embedding.class_token", "blocks.0.attn.positions.h.table")
    assert len(tables) == 1 + 4 * 3
    assert len(build().layers) == 4


def test_it_runs_in_bf16_float64_and_compiled() -> None:
    few = {"depth": 2, "dim_mul": ((1, 2.0),), "pool_q_stride": ((1, 1, 2, 2),)}
    backbone = build(**(V2 | few))
    expected = backbone(clip()).embedding
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(backbone(clip()).embedding.float(), expected, atol=0.1, rtol=0)
    compiled = torch.compile(backbone, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(clip()).embedding, expected)
    torch.testing.assert_close(backbone.double()(clip().double()).embedding.float(), expected, atol=1e-5, rtol=0)


def test_the_class_token_is_normalised_but_not_pooled() -> None:
    pool = TokenPool(4, Pooling(kernel=(3, 3, 3), stride=(1, 2, 2)), (2, 4, 4), class_token=True, eps=1e-6)
    tokens = torch.rand(1, 1 + 32, 3, 4)
    pooled = pool(tokens)
    assert pooled.shape == (1, 1 + 8, 3, 4)
    assert torch.equal(pooled[:, 0], pool.norm(tokens[:, 0]))
    one_head = pool(tokens[:, :, 1:2])  # the kernel is the same for all heads
    torch.testing.assert_close(pooled[:, :, 1:2], one_head)


def test_the_residual_connection_takes_maxima() -> None:
    tokens = torch.rand(1, 1 + 32, 5)
    pool = FixedPool("max", Pooling(kernel=(3, 3, 3), stride=(1, 2, 2)).skip, (2, 4, 4), class_token=True)
    pooled = pool(tokens)
    assert torch.equal(pooled[:, 0], tokens[:, 0])
    corner = tokens[:, 1:].reshape(1, 2, 4, 4, 5)[:, 0, :2, :2].amax(dim=(1, 2))
    assert torch.equal(pooled[:, 1], corner)


@pytest.mark.parametrize("class_token", [True, False])
def test_relative_positions_are_added_to_the_logits(class_token: bool) -> None:
    """Against equation 4 of MViTv2, one pair of tokens after the other."""
    torch.manual_seed(0)
    checked = options(**(V2 | {"cls_embed_on": class_token, "residual_pooling": False}))
    grid = (2, 4, 5)
    attention = PoolingAttention(checked, checked.blocks[1], grid, grid).double()
    positions = attention.positions
    assert isinstance(positions, RelativePositions)
    for table in positions.parameters():
        nn.init.normal_(table)
    x = torch.rand(1, int(class_token) + 40, 16, dtype=torch.float64)
    query, key, value = attention.qkv(x).unflatten(-1, (3, 2, 16)).unbind(2)
    query, key, value = attention.pool_q(query), attention.pool_k(key), attention.pool_v(value)
    logits = torch.einsum("bqnc,bknc->bnqk", query, key) / 16**0.5
    keys = checked.blocks[1].pool_kv.pooled(grid) if checked.blocks[1].pool_kv else grid
    places = {axis: torch.cartesian_prod(*map(torch.arange, axis)) for axis in (positions.query_grid, keys)}
    towards = {axis: table() for axis, table in positions.items()}
    for i, q in enumerate(places[positions.query_grid].tolist(), start=int(class_token)):
        for j, k in enumerate(places[keys].tolist(), start=int(class_token)):
            relative = sum(towards[axis][q[at], k[at]] for at, axis in enumerate("thw"))
            logits[:, :, i, j] += query[:, i] @ relative
    expected = attention.proj(torch.einsum("bnqk,bknc->bqnc", logits.softmax(-1), value).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_the_residual_leaves_out_the_class_token() -> None:
    outputs = []
    for given in ({"residual_pooling": False}, {}, {"residual_with_cls_embed": True}):
        checked = options(**(V2 | given))
        torch.manual_seed(0)
        attention = PoolingAttention(checked, checked.blocks[0], (2, 4, 4), (2, 4, 4))
        nn.init.eye_(attention.proj.weight)
        outputs.append(attention(torch.ones(1, 33, 16)))
    without, patches, all_tokens = outputs
    assert torch.equal(without[:, 0], patches[:, 0])
    assert not torch.equal(without[:, 0], all_tokens[:, 0])
    torch.testing.assert_close(patches[:, 1:], all_tokens[:, 1:])
    assert not torch.equal(without[:, 1:], patches[:, 1:])


def test_distances_and_tables() -> None:
    assert distances(3, 3).tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    assert distances(4, 2).tolist() == [[2, 0], [3, 1], [4, 2], [5, 3]]
    assert distances(2, 4).tolist() == [[3, 2, 1, 0], [5, 4, 3, 2]]
    table = torch.arange(3.0)[:, None]
    assert resize_table(table, 3) is table
    assert resize_table(table, 6).flatten().tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]
