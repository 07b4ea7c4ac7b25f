"""The UNETR decoder on pyramids of all kinds: it runs, at the size of the input, and trains all it has."""

from typing import Any

import pytest
import torch
from torch import Tensor

from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_unetr.config import UnetrDecoderOptions
from medvid_unetr.decoder import UnetrDecoder, upsampling_steps

HOST = make_host()

Strides = list[tuple[int, ...]]


def build(strides: Strides, size: tuple[int, ...], **options: Any) -> UnetrDecoder:
    torch.manual_seed(0)
    info = InputInfo("volume" if len(size) == 3 else "image", 1, size)
    maps = tuple(MapInfo(3 + index, stride) for index, stride in enumerate(strides))
    target = TargetInfo("voxel", "class", ("background", "a", "b"))
    checked = UnetrDecoderOptions(name="unetr_decoder", **({"feature_size": 2} | options))
    return build_head(HOST.build, checked, FeatureInfo(maps), info, target)


def pyramid(strides: Strides, size: tuple[int, ...]) -> Features:
    def grid(stride: tuple[int, ...]) -> list[int]:
        return [-(-length // step) for length, step in zip(size, stride, strict=True)]

    return Features(tuple(torch.rand(2, 3 + index, *grid(stride)) for index, stride in enumerate(strides)))


PYRAMIDS: dict[str, tuple[Strides, tuple[int, ...]]] = {
    "UNETR": ([(16, 16, 16)] * 4, (32, 16, 32)),
    "UNETR with small patches": ([(8, 8, 8)] * 4, (16, 16, 8)),
    "exact, 2D": ([(4, 4), (8, 8), (16, 16), (32, 32)], (64, 32)),
    "MViT": ([(2, 4, 4), (2, 8, 8), (2, 16, 16), (2, 32, 32)], (4, 64, 32)),
    "slice-wise": ([(4, 4, 1), (8, 8, 1)], (16, 16, 3)),
    "patch 14": ([(14, 14)] * 4, (56, 28)),
    "odd sizes": ([(2, 2), (4, 4), (8, 8)], (37, 22)),
    "full resolution": ([(1, 1), (2, 2), (4, 4)], (12, 8)),
    "finer on one axis than its level": ([(1, 8, 8), (8, 8, 8)], (16, 16, 16)),
    "one map": ([(8, 8)], (16, 24)),
    "one map of full resolution": ([(1, 1)], (9, 8)),
}


@pytest.mark.parametrize(("strides", "size"), PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize(
    "options", [{}, {"conv_block": False, "res_block": False, "norm_name": "batch"}], ids=["default", "plain"]
)
def test_any_pyramid_gives_logits_and_trains(strides: Strides, size: tuple[int, ...], options: dict[str, Any]) -> None:
    decoder = build(strides, size, **options)
    logits: Tensor = decoder(pyramid(strides, size), torch.rand(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    loss = decoder.loss(logits, torch.randint(3, (2, *size)))["loss"]
    gradients = torch.autograd.grad(loss, list(decoder.parameters()), allow_unused=True)
    without = [name for (name, _), grad in zip(decoder.named_parameters(), gradients, strict=True) if grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("coarse", "fine", "steps"),
    [
        ((16, 16, 16), (2, 2, 2), [(2, 2, 2)] * 3),
        ((2, 16, 16), (1, 2, 2), [(1, 2, 2), (1, 2, 2), (2, 2, 2)]),
        ((14, 14), (2, 2), [(2, 2)] * 3),
        ((4, 4), (4, 4), []),
        ((1, 8), (2, 4), [(1, 2)]),
    ],
)
def test_upsampling_steps_double_only_the_axes_that_need_it(
    coarse: tuple[int, ...], fine: tuple[int, ...], steps: Strides
) -> None:
    assert upsampling_steps(coarse, fine) == steps


def test_channels_double_with_the_stride() -> None:
    state = build([(16, 16)] * 4, (32, 32), feature_size=4).state_dict()
    assert [state[f"ups.{level}.block.conv2.weight"].shape[0] for level in range(4)] == [4, 8, 16, 32]
    assert [state[f"lifts.{level}.steps.0.0.weight"].shape[1] for level in range(1, 4)] == [8, 16, 32]


def test_channels_last_gives_the_same() -> None:
    strides, size = PYRAMIDS["UNETR"]
    decoder, features, volume = build(strides, size), pyramid(strides, size), torch.rand(2, 1, *size)
    expected = decoder(features, volume)
    decoder.to(memory_format=torch.channels_last_3d)
    logits = decoder(features, volume.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
