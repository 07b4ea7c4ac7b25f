"""STAM: frames folded into the batch, then the temporal encoder. Numbers are compared in tests/parity."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.errors import ConfigError
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.info import InputInfo
from medvid_stam.config import STAMOptions
from medvid_stam.model import STAM
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT

VIT = ViTOptions(name="vit", img_size=(16, 24), patch_size=8, embed_dim=12, depth=2, num_heads=2, taps=(0,))


class Pyramid(Backbone):
    """A backbone of images without an embedding, without layers or tables."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 6, 2, stride=2)
        self.feature_info = FeatureInfo(maps=(MapInfo(4, (2, 2)), MapInfo(6, (4, 4))))

    def forward(self, input: Tensor) -> Features:
        fine = self.fine(input)
        return Features(maps=(fine, self.coarse(fine)))


def build(frame: Backbone | None = None, **options: Any) -> Any:
    torch.manual_seed(0)
    frame = frame or ViT(VIT, InputInfo("image", 3, VIT.img_size))
    small = {"num_frames": 4, "num_layers": 2, "num_heads": 2, "dim_feedforward": 16}
    checked = STAMOptions(**({"name": "stam", "frame": VIT} | small | options))
    return STAM(checked, InputInfo("video", 3, (checked.num_frames, 16, 24)), lambda *_: frame)


@pytest.mark.parametrize("frame", [None, Pyramid()], ids=["vit", "pyramid"])
def test_features_are_as_declared(frame: Backbone | None) -> None:
    backbone = build(frame)
    features = backbone(torch.rand(2, 3, 4, 16, 24))
    info = backbone.feature_info
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        size = [length // stride for length, stride in zip((4, 16, 24), declared.stride, strict=True)]
        assert declared.stride[0] == 1
        assert feature_map.shape == (2, declared.channels, *size)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


def test_maps_and_embeddings_are_those_of_the_frames() -> None:
    backbone = build().eval()
    video = torch.rand(2, 3, 4, 16, 24)
    maps, embeddings = backbone.encode_frames(video)
    for clip in range(2):
        for index in range(4):
            alone = backbone.frame(video[clip : clip + 1, :, index])
            for stacked, own in zip(maps, alone.maps, strict=True):
                torch.testing.assert_close(stacked[clip, :, index], own[0])
            torch.testing.assert_close(embeddings[clip, index], alone.embedding[0])


def test_without_an_embedding_the_coarsest_map_is_pooled() -> None:
    backbone = build(Pyramid())
    maps, embeddings = backbone.encode_frames(torch.rand(2, 3, 4, 16, 24))
    torch.testing.assert_close(embeddings[1, 2], maps[-1][1, :, 2].mean(dim=(1, 2)))


def test_the_order_of_frames_matters() -> None:
    backbone = build().eval()
    nn.init.normal_(backbone.temporal.positions)
    video = torch.rand(1, 3, 4, 16, 24)
    assert not torch.allclose(backbone(video).embedding, backbone(video.flip(2)).embedding, atol=1e-4)
    nn.init.zeros_(backbone.temporal.positions)
    torch.testing.assert_close(backbone(video).embedding, backbone(video.flip(2)).embedding)


def test_the_temporal_encoder_is_torchs() -> None:
    temporal = build(num_layers=3).temporal.eval()
    reference = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(12, 2, 16), 3, norm=nn.LayerNorm(12), enable_nested_tensor=False
    ).eval()
    state = temporal.state_dict()
    reference.load_state_dict({name: state[name] for name in reference.state_dict()})
    embeddings = torch.randn(2, 4, 12)
    tokens = torch.cat([temporal.class_token.expand(2, -1, -1), embeddings], dim=1) + temporal.positions
    torch.testing.assert_close(temporal(embeddings), reference(tokens.transpose(0, 1))[0])


def test_layers_are_initialised_apart_and_dropout_reaches_them() -> None:
    backbone = build(dropout=0.5)
    first, second = backbone.temporal.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    video = torch.rand(1, 3, 4, 16, 24)
    assert not torch.equal(backbone(video).embedding, backbone(video).embedding)


def test_layers_and_tables() -> None:
    backbone = build()
    assert list(backbone.layers) == [*backbone.frame.blocks, *backbone.temporal.layers]
    assert backbone.no_weight_decay == (
        "frame.class_token",
        "frame.positions",
        "temporal.class_token",
        "temporal.positions",
    )
    assert set(backbone.no_weight_decay) <= set(dict(backbone.named_parameters()))
    assert list(build(Pyramid()).layers) != []


def test_heads_have_to_divide_the_width_of_the_frames() -> None:
    with pytest.raises(ConfigError, match="12 channels, which is not a multiple of 8 attention heads"):
        build(num_heads=8)


def test_another_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="built for clips of 4 frames, not 5"):
        build()(torch.rand(1, 3, 5, 16, 24))


def test_every_parameter_gets_a_gradient() -> None:
    backbone = build().double()
    backbone(torch.rand(2, 3, 4, 16, 24, dtype=torch.float64)).embedding.square().sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []
