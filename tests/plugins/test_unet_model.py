"""nnU-Net's networks: layout, initialisation, and what they predict in training."""

from typing import Any

import pytest
import torch

from medvid.errors import ConfigError
from medvid.models.build import build_head
from medvid.models.convolution import ResidualBlock
from medvid.models.features import FeatureInfo, MapInfo
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_transunet.config import CascadedUpsamplerOptions
from medvid_unet.config import UNetDecoderOptions, UNetOptions
from medvid_unet.model import UNet
from medvid_unetr.config import UnetrDecoderOptions

HOST = make_host()
VOLUME = InputInfo("volume", 1, (8, 8, 4))
TARGET = TargetInfo("voxel", "class", ("background", "a", "b"))
STRIDES = ((1, 1, 1), (2, 2, 1), (2, 2, 2))


def network(head: Any = None, **options: Any) -> Model:
    torch.manual_seed(0)
    given = {"name": "unet", "features": (4, 6, 8), "strides": STRIDES} | options
    backbone = UNet(UNetOptions(**given), VOLUME)
    head = head or UNetDecoderOptions(name="unet_decoder")
    return Model(backbone, build_head(HOST.build, head, backbone.feature_info, VOLUME, TARGET))


def test_maps_have_the_strides_of_the_stages() -> None:
    backbone = network().backbone
    assert [info.stride for info in backbone.feature_info.maps] == [(1, 1, 1), (2, 2, 1), (4, 4, 2)]
    maps = backbone(torch.rand(1, 1, 8, 8, 4)).maps
    assert [tuple(item.shape[1:]) for item in maps] == [(4, 8, 8, 4), (6, 4, 4, 4), (8, 2, 2, 2)]


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[8, 6, 4\]"):
        network().backbone(torch.rand(1, 1, 8, 6, 4))


def test_residual_blocks_begin_as_their_skip() -> None:
    block = next(part for part in network(encoder="resenc").modules() if isinstance(part, ResidualBlock))
    x = torch.rand(2, 4, 8, 8, 4)
    assert torch.equal(block(x), x)


HEADS = {
    "unet": (UNetDecoderOptions(name="unet_decoder"), [(16, 16, 8), (8, 8, 8)]),
    "unetr": (
        UnetrDecoderOptions(name="unetr_decoder", feature_size=4, deep_supervision=True),
        [(16, 16, 8), (8, 8, 4)],
    ),
    "cup": (CascadedUpsamplerOptions(name="cascaded_upsampler", deep_supervision=True), [(16, 16, 8), (8, 8, 4)]),
}


@pytest.mark.parametrize(("head", "sizes"), HEADS.values(), ids=HEADS)
def test_all_levels_but_the_coarsest_are_supervised(head: Any, sizes: list[tuple[int, ...]]) -> None:
    strides = (*STRIDES, (2, 2, 2))
    model = network(head, features=(4, 6, 8, 8), strides=strides, kernels=((3, 3, 3),) * 4)
    x, target = torch.rand(2, 1, 16, 16, 8), torch.randint(3, (2, 16, 16, 8))
    assert model.eval()(x).shape == (2, 3, 16, 16, 8)
    outputs = model.train()(x)
    assert [tuple(output.shape[2:]) for output in outputs] == sizes
    torch.autograd.backward(model.head.loss(outputs, target)["loss"])
    trained = {name: item for name, item in model.named_parameters() if item.requires_grad}
    assert [name for name, item in trained.items() if item.grad is None] == []


@pytest.mark.parametrize(
    "head", [UnetrDecoderOptions(name="unetr_decoder"), UNetDecoderOptions(name="unet_decoder", deep_supervision=False)]
)
def test_without_deep_supervision_there_is_one_output(head: Any) -> None:
    model = network(head).train()
    assert model(torch.rand(2, 1, 8, 8, 4)).shape == (2, 3, 8, 8, 4)
    assert not any("scales" in name or "classifiers.1" in name for name in model.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": ((3, 3, 3),)}, r"head.kernels has 1 entries, but the decoder has 2 levels"),
        ({"convs": (2, 2, 2)}, r"head.convs has 3 entries"),
        ({"kernels": ((3, 3), (3, 3))}, r"head.kernels is not for inputs of size \[8, 8, 4\], which have 3 axes"),
    ],
)
def test_levels_that_are_not_there_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(UNetDecoderOptions(name="unet_decoder", **options))


def test_a_single_map_is_classified_as_it_is() -> None:
    info = FeatureInfo((MapInfo(5, (2, 2, 2)),))
    head = build_head(HOST.build, UNetDecoderOptions(name="unet_decoder"), info, VOLUME, TARGET)
    assert [name for name, _ in head.named_parameters()] == ["classifiers.0.weight", "classifiers.0.bias"]
