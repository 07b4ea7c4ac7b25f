"""The VideoMAE backbone: shapes, positions, pooling. Numbers are compared with transformers' in tests/parity."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from medvid.models.features import Features
from medvid.plugin.info import InputInfo
from medvid_videomae.config import VideoMAEOptions
from medvid_videomae.model import VideoMAE, sinusoids


def build(channels: int = 3, **options: Any) -> VideoMAE:
    torch.manual_seed(0)
    small = {"img_size": 16, "patch_size": 4, "num_frames": 4, "embed_dim": 12, "num_heads": 2, "depth": 3}
    checked = VideoMAEOptions.model_validate({"name": "videomae"} | small | options)
    return VideoMAE(checked, InputInfo("video", channels, (4, 16, 16)))


def embedding(backbone: VideoMAE, video: Tensor) -> Tensor:
    features: Features = backbone(video)
    assert features.embedding is not None
    return features.embedding


@pytest.mark.parametrize("use_mean_pooling", [True, False])
@pytest.mark.parametrize("size", [(4, 16, 16), (6, 24, 8), (2, 4, 4)])
def test_features_are_as_declared(use_mean_pooling: bool, size: tuple[int, int, int]) -> None:
    backbone = build(1, use_mean_pooling=use_mean_pooling, taps=(0, 1))
    features = backbone(torch.rand(2, 1, *size))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 3
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [length // stride for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


def test_the_norm_is_that_of_the_mean_or_of_each_token() -> None:
    video = torch.rand(2, 3, 4, 16, 16)
    tuned = build()
    (tokens,), tuned_embedding = tuned(video).maps, embedding(tuned, video)
    expected = functional.layer_norm(tokens.mean(dim=(2, 3, 4)), [12], eps=1e-6)
    torch.testing.assert_close(tuned_embedding, expected)
    frozen = build(use_mean_pooling=False)
    (normalised,) = frozen(video).maps
    torch.testing.assert_close(normalised, functional.layer_norm(tokens.movedim(1, -1), [12], eps=1e-6).movedim(-1, 1))
    torch.testing.assert_close(embedding(frozen, video), normalised.mean(dim=(2, 3, 4)))


def test_a_map_keeps_places() -> None:
    """Without attention and MLP a token depends on its own tubelet alone."""
    backbone = build()
    for name, parameter in backbone.named_parameters():
        if name.endswith(("attn.proj.weight", "mlp.fc2.weight")):
            nn.init.zeros_(parameter)
    video = torch.rand(1, 3, 4, 16, 16)
    changed = video.clone()
    changed[0, 1, 3, 5, 14] += 1  # the second tubelet in time, row 1, column 3
    difference = (backbone(changed).maps[0] - backbone(video).maps[0]).abs().sum(dim=1)[0]
    assert difference.nonzero().tolist() == [[1, 1, 3]]


def test_positions_are_sines_and_cosines_of_the_place_in_the_row_of_tokens() -> None:
    table = sinusoids(1568, 768)
    assert table.shape == (1, 1568, 768)
    for place, channel in [(0, 0), (0, 1), (5, 2), (1567, 0), (1567, 1), (1000, 767)]:
        angle = place / 10000 ** (2 * (channel // 2) / 768)
        expected = math.cos(angle) if channel % 2 else math.sin(angle)
        assert table[0, place, channel].item() == pytest.approx(expected, abs=1e-6)


def test_positions_are_interpolated_to_other_clips_and_are_not_in_checkpoints() -> None:
    backbone = build()
    assert backbone.positions_of((2, 4, 4)) is backbone.positions
    grid = backbone.positions.reshape(2, 4, 4, 12)
    longer = backbone.positions_of((4, 4, 4)).reshape(4, 4, 4, 12)
    torch.testing.assert_close(longer[1], 0.75 * grid[0] + 0.25 * grid[1])
    assert not any("positions" in name for name in backbone.state_dict())


def test_the_order_of_frames_matters() -> None:
    backbone, video = build(), torch.rand(2, 3, 4, 16, 16)
    assert (embedding(backbone, video.flip(2)) - embedding(backbone, video)).abs().max() > 1e-3


def test_queries_and_values_have_a_bias_and_keys_have_none() -> None:
    backbone = build()
    qkv = backbone.blocks[0].attn.qkv  # type: ignore[union-attr]  # torch does not know the blocks
    nn.init.normal_(qkv.q_bias)
    nn.init.normal_(qkv.v_bias)
    query, key, value = qkv(torch.zeros(1, 1, 12)).chunk(3, dim=-1)
    assert torch.equal(query[0, 0], qkv.q_bias)
    assert torch.equal(value[0, 0], qkv.v_bias)
    assert not key.any()


def test_the_initialisation_is_the_published_one() -> None:
    backbone = build(embed_dim=96, num_heads=4)
    parameters = dict(backbone.named_parameters())
    assert parameters["blocks.1.attn.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    kernel = parameters["tubelet_embedding.projection.weight"]  # a convolution's
    assert kernel.std().item() == pytest.approx((3 * 3 * 32) ** -0.5, rel=0.05)
    biases = {name for name in parameters if name.startswith("blocks.") and name.endswith("bias")}
    assert {name for name, parameter in parameters.items() if not parameter.any()} == biases | {"fc_norm.bias"}


def test_clips_that_do_not_divide_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"size \[3, 16, 16\] do not divide into tubelets of \[2, 4, 4\]"):
        build()(torch.rand(1, 3, 3, 16, 16))


def test_branches_are_dropped_in_the_last_blocks_most_and_in_training_only() -> None:
    backbone, video = build(drop_path_rate=0.5), torch.rand(8, 3, 4, 16, 16)
    assert [module.p for module in backbone.modules() if isinstance(module, StochasticDepth)] == [0.0, 0.25, 0.5]
    assert not torch.equal(embedding(backbone, video), embedding(backbone, video))
    backbone.eval()
    assert torch.equal(embedding(backbone, video), embedding(backbone, video))
