"""The TimeSformer backbone: shapes, what attends to what, and what is dropped. Numbers are compared in tests/parity."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from medvid.models.features import Features
from medvid.plugin.info import InputInfo
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.model import DividedBlock, TimeSformer

TYPES = ("divided_space_time", "joint_space_time", "space_only")


def build(channels: int = 3, **options: Any) -> TimeSformer:
    torch.manual_seed(0)
    small = {"img_size": 16, "patch_size": 4, "num_frames": 4, "embed_dim": 12, "num_heads": 2, "depth": 3}
    checked = TimeSformerOptions(**({"name": "timesformer"} | small | options))
    return TimeSformer(checked, InputInfo("video", channels, (4, 16, 16)))


def roughened(backbone: TimeSformer) -> TimeSformer:
    """Away from the initialisation, so that attention over time matters, but not the zero of a time table."""
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if not name.endswith("time_positions"):
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return backbone.eval()


def embedding(backbone: TimeSformer, video: Tensor) -> Tensor:
    features: Features = backbone(video)
    assert features.embedding is not None
    return features.embedding


def first_block(backbone: TimeSformer) -> DividedBlock:
    block = backbone.blocks[0]
    assert isinstance(block, DividedBlock)
    return block


@pytest.mark.parametrize("attention_type", TYPES)
@pytest.mark.parametrize("size", [(4, 16, 16), (5, 24, 8), (1, 4, 4)])
def test_features_are_as_declared(attention_type: str, size: tuple[int, int, int]) -> None:
    backbone = build(1, attention_type=attention_type, taps=(0, 1), patch_size=(4, 2), img_size=(16, 8))
    features = backbone(torch.rand(2, 1, *size))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 3
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [length // stride for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


@pytest.mark.parametrize("attention_type", TYPES)
def test_maps_are_the_tokens_of_tapped_blocks_and_the_norm(attention_type: str) -> None:
    backbone = roughened(build(attention_type=attention_type, taps=(1,)))
    seen: list[Tensor] = []
    backbone.blocks[1].register_forward_hook(lambda _module, _args, output: seen.append(output))
    backbone.norm.register_forward_hook(lambda _module, _args, output: seen.append(output))
    features = backbone(torch.rand(2, 3, 5, 8, 12))
    block, norm_of_cls, norm = seen
    for feature_map, tokens in zip(features.maps, (block, norm), strict=True):
        assert torch.equal(feature_map.movedim(1, -1).reshape(2, -1, 12), tokens[:, 1:].reshape(2, -1, 12))
    assert features.embedding is norm_of_cls
    if attention_type != "space_only":
        torch.testing.assert_close(features.embedding, norm[:, 0])


@pytest.mark.parametrize("attention_type", TYPES)
def test_a_map_keeps_places_and_frames(attention_type: str) -> None:
    """Without attention and MLP a token depends on its own patch alone."""
    backbone = build(attention_type=attention_type)
    for name, parameter in backbone.named_parameters():
        if name.endswith(("attn.proj.weight", "mlp.fc2.weight")):
            nn.init.zeros_(parameter)
    video = torch.rand(1, 3, 4, 16, 16)
    changed = video.clone()
    changed[0, 1, 2, 5, 14] += 1  # frame 2, patch in row 1 and column 3
    difference = (backbone(changed).maps[0] - backbone(video).maps[0]).abs().sum(dim=1)[0]
    assert difference.nonzero().tolist() == [[2, 1, 3]]


@pytest.mark.parametrize("attention_type", TYPES)
def test_clips_of_a_batch_do_not_mix(attention_type: str) -> None:
    backbone = roughened(build(attention_type=attention_type))
    videos = torch.rand(3, 3, 5, 8, 12)
    features = backbone(videos)
    for index in range(3):
        alone = backbone(videos[index : index + 1])
        torch.testing.assert_close(features.maps[0][index : index + 1], alone.maps[0])
        torch.testing.assert_close(embedding(backbone, videos)[index : index + 1], alone.embedding)


def test_divided_attention_reaches_its_place_in_all_frames_and_its_own_frame() -> None:
    backbone = roughened(build(depth=1))
    video = torch.rand(1, 3, 3, 16, 16)
    changed = video.clone()
    changed[:, :, 1, 4:8, 8:12] += 1  # frame 1, row 1, column 2
    difference = (backbone(changed).maps[0] - backbone(video).maps[0]).abs().sum(dim=1)[0]  # T, h, w
    assert (difference > 1e-6).all()  # over time to frames 0 and 2, from there over space

    block = first_block(backbone)
    patches = torch.rand(3, 16, 1, 12)
    moved = patches.clone()
    moved[1, 6] += torch.rand(12)
    over_time = (block._over_time(moved) - block._over_time(patches)).abs().sum(-1)[..., 0]
    assert set(over_time.nonzero()[:, 1].tolist()) == {6}
    cls = torch.rand(1, 1, 12)
    over_space = (block._over_space(cls, moved) - block._over_space(cls, patches)).abs().sum(-1)[..., 0]
    assert set(over_space.nonzero()[:, 0].tolist()) == {1}


@pytest.mark.parametrize("attention_type", TYPES)
def test_without_a_time_table_the_order_of_frames_does_not_matter(attention_type: str) -> None:
    backbone = roughened(build(attention_type=attention_type))
    video = torch.rand(2, 3, 4, 16, 16)
    torch.testing.assert_close(embedding(backbone, video.flip(2)), embedding(backbone, video))


@pytest.mark.parametrize("attention_type", TYPES[:2])
def test_a_time_table_tells_directions_apart(attention_type: str) -> None:
    backbone = roughened(build(attention_type=attention_type, time_embed_std=0.5))
    video = torch.rand(2, 3, 4, 16, 16)
    assert (embedding(backbone, video.flip(2)) - embedding(backbone, video)).abs().max() > 1e-3


def test_the_initialisation_is_the_published_one() -> None:
    backbone = build(embed_dim=96, num_heads=4)
    parameters = dict(backbone.named_parameters())
    assert parameters["blocks.1.temporal_attn.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert parameters["embedding.positions"].std().item() == pytest.approx(0.02, rel=0.1)
    assert parameters["embedding.projection.weight"].std().item() == pytest.approx((3 * 48) ** -0.5, rel=0.05)
    zero = {name for name, parameter in parameters.items() if not parameter.any()}
    biases = {name for name in parameters if name.startswith("blocks.") and name.endswith("bias")}
    fresh = {f"blocks.{index}.temporal_fc.weight" for index in range(3)}
    assert zero == biases | fresh | {"embedding.time_positions", "norm.bias"}
    table = build(embed_dim=96, num_heads=4, num_frames=32, time_embed_std=0.5).embedding.time_positions
    assert table is not None
    assert table.std().item() == pytest.approx(0.5, rel=0.05)


def test_the_patch_projection_is_a_convolution_of_each_frame() -> None:
    embedding = build(2, attention_type="space_only").embedding
    nn.init.zeros_(embedding.positions)
    kernel = embedding.projection.weight.reshape(-1, 4, 4, 2).movedim(-1, 1)
    video = torch.rand(2, 2, 3, 16, 8)
    frames = video.transpose(1, 2).flatten(0, 1)
    expected = nn.functional.conv2d(frames, kernel, embedding.projection.bias, stride=4)
    torch.testing.assert_close(embedding(video)[:, 1:], expected.flatten(2).transpose(1, 2))


def test_tables_are_resized_to_the_input() -> None:
    embedding = build().embedding
    table = embedding.positions_of(8, 4)[0, 1:].reshape(8, 4, 12)
    published = embedding.positions[0, 1:].reshape(4, 4, 12)
    assert torch.equal(table, published.repeat_interleave(2, dim=0))
    assert torch.equal(embedding.positions_of(8, 4)[0, 0], embedding.positions[0, 0])
    assert embedding.positions_of(2, 8) is embedding.positions  # as many patches: as it is, as published
    times = torch.arange(4.0).reshape(1, 4, 1)
    assert embedding.times_of(times, 6).flatten().tolist() == [0, 0, 1, 2, 2, 3]
    assert embedding.times_of(times, 2).flatten().tolist() == [0, 2]


def test_frames_that_do_not_divide_into_patches_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="frames of 16 x 18 do not divide into patches of 4 x 4"):
        build()(torch.rand(1, 3, 4, 16, 18))


@pytest.mark.parametrize("option", ["drop_rate", "attn_drop_rate", "drop_path_rate"])
@pytest.mark.parametrize("attention_type", TYPES)
def test_what_is_dropped_is_dropped_in_training_only(attention_type: str, option: str) -> None:
    rates: dict[str, Any] = {"drop_path_rate": 0.0} | {option: 0.5}
    backbone = build(attention_type=attention_type, **rates)
    video = torch.rand(4, 3, 4, 16, 16)
    assert not torch.equal(embedding(backbone, video), embedding(backbone, video))
    backbone.eval()
    assert torch.equal(embedding(backbone, video), embedding(backbone, video))


def test_branches_are_dropped_in_the_last_blocks_most() -> None:
    rates = [module.p for module in build().modules() if isinstance(module, StochasticDepth)]
    assert rates == [0.0, 0.05, 0.1]


def test_attention_over_time_is_dropped_place_by_place_before_its_last_layer() -> None:
    block = first_block(roughened(build()))
    block.train().drop_path.p = 0.5
    residual = block._over_time(torch.rand(4, 16, 2, 12))
    only_bias = torch.isclose(residual, block.temporal_fc.bias).all(-1)  # T, N, B
    assert 0 < only_bias[0].sum() < 32
    assert (only_bias == only_bias[0]).all()


def test_attention_over_space_is_dropped_frame_by_frame_and_the_mlp_clip_by_clip() -> None:
    block = first_block(roughened(build()))
    block.train().drop_path.p = 0.5
    torch.manual_seed(1)
    dropped = (block._over_space(torch.rand(1, 6, 12), torch.rand(4, 16, 6, 12)) == 0).all(-1)  # T, 1 + N, B
    assert 0 < dropped[:, 0].sum() < 24
    assert (dropped == dropped[:, :1]).all()

    nn.init.zeros_(block.temporal_fc.weight)
    nn.init.zeros_(block.temporal_fc.bias)
    nn.init.zeros_(block.attn.proj.weight)
    nn.init.zeros_(block.attn.proj.bias)
    x = torch.rand(8, 65, 12)
    kept = torch.isclose(block(x, 4), x).all(-1)  # B, 1 + T * N
    assert 0 < kept[:, 0].sum() < 8
    assert (kept == kept[:, :1]).all()


def test_between_divided_blocks_tokens_stay_as_they_lie() -> None:
    x = first_block(build())(torch.rand(2, 65, 12), 4)
    assert x.transpose(0, 1).is_contiguous()


def test_qkv_bias_and_scale() -> None:
    assert first_block(build(qkv_bias=False)).attn.qkv.bias is None
    video = torch.rand(1, 3, 4, 16, 16)
    plain, same, other = (roughened(build(qk_scale=scale)) for scale in (None, 6**-0.5, 1.0))
    torch.testing.assert_close(embedding(plain, video), embedding(same, video))
    assert not torch.allclose(embedding(plain, video), embedding(other, video))


@pytest.mark.parametrize("attention_type", TYPES)
def test_what_it_says_to_the_recipe(attention_type: str) -> None:
    backbone = build(attention_type=attention_type)
    assert list(backbone.layers) == list(backbone.blocks)
    tables = {name for name, parameter in backbone.named_parameters() if parameter.ndim == 3}
    assert set(backbone.no_weight_decay) == tables
    assert len(tables) == (2 if attention_type == "space_only" else 3)


@pytest.mark.parametrize("attention_type", TYPES)
def test_other_precisions(attention_type: str) -> None:
    backbone = roughened(build(attention_type=attention_type))
    video = torch.rand(2, 3, 5, 16, 16)
    exact = embedding(backbone.double(), video.double())
    assert exact.dtype == torch.float64
    single = embedding(backbone.float(), video)
    torch.testing.assert_close(single, exact.float(), atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(embedding(backbone, video).float(), single, atol=0.1, rtol=0)


def test_it_is_traced_as_one_graph() -> None:
    backbone = roughened(build(depth=1, taps=(0,)))
    video = torch.rand(1, 3, 3, 16, 8)
    traced = torch.compile(backbone, backend="eager", fullgraph=True)(video)
    torch.testing.assert_close(traced.embedding, embedding(backbone, video))
