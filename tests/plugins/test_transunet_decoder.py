"""The cascaded upsampler on pyramids of all kinds: it runs, at the size of the input, and trains all it has."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_transunet.config import CascadedUpsamplerOptions
from medvid_transunet.decoder import CascadedUpsampler

HOST = make_host()

Strides = list[tuple[int, ...]]


def build(strides: Strides, size: tuple[int, ...], **options: Any) -> CascadedUpsampler:
    torch.manual_seed(0)
    info = InputInfo("volume" if len(size) == 3 else "image", 1, size)
    maps = tuple(MapInfo(3 + index, stride) for index, stride in enumerate(strides))
    target = TargetInfo("voxel", "class", ("background", "a", "b"))
    small = {"head_channels": 10, "decoder_channels": (8, 6, 4, 2)}
    checked = CascadedUpsamplerOptions(name="cascaded_upsampler", **(small | options))
    return build_head(HOST.build, checked, FeatureInfo(maps), info, target)


def pyramid(strides: Strides, size: tuple[int, ...]) -> Features:
    def grid(stride: tuple[int, ...]) -> list[int]:
        return [-(-length // step) for length, step in zip(size, stride, strict=True)]

    return Features(tuple(torch.rand(2, 3 + index, *grid(stride)) for index, stride in enumerate(strides)))


PYRAMIDS: dict[str, tuple[Strides, tuple[int, ...]]] = {
    "TransUNet": ([(2, 2), (4, 4), (8, 8), (16, 16)], (32, 48)),
    "3D": ([(2, 2, 2), (4, 4, 4), (8, 8, 8)], (16, 8, 16)),
    "UNETR": ([(16, 16, 16)] * 4, (32, 16, 32)),
    "more maps than levels": ([(2, 2), (2, 2), (4, 4), (4, 4), (8, 8)], (16, 16)),
    "MViT": ([(2, 4, 4), (2, 8, 8), (2, 16, 16), (2, 32, 32)], (4, 64, 32)),
    "slice-wise": ([(4, 4, 1), (8, 8, 1)], (16, 16, 3)),
    "patch 14": ([(14, 14)] * 4, (56, 28)),
    "odd sizes": ([(2, 2), (4, 4), (8, 8)], (37, 22)),
    "full resolution": ([(1, 1), (2, 2), (4, 4)], (12, 8)),
    "finer on one axis than its level": ([(1, 8, 8), (8, 8, 8)], (16, 16, 16)),
    "one map": ([(16, 16)], (32, 48)),
    "one map of full resolution": ([(1, 1)], (9, 8)),
}


@pytest.mark.parametrize(("strides", "size"), PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("n_skip", [0, 3])
def test_any_pyramid_gives_logits_and_trains(strides: Strides, size: tuple[int, ...], n_skip: int) -> None:
    decoder = build(strides, size, n_skip=n_skip)
    logits: Tensor = decoder(pyramid(strides, size), torch.rand(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    loss = decoder.loss(logits, torch.randint(3, (2, *size)))["loss"]
    gradients = torch.autograd.grad(loss, list(decoder.parameters()), allow_unused=True)
    without = [name for (name, _), grad in zip(decoder.named_parameters(), gradients, strict=True) if grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("n_skip", "skips"),
    [
        (0, [None, None, None, None]),
        (1, [2, None, None, None]),
        (2, [2, 1, None, None]),
        (3, [2, 1, 0, None]),
        (9, [2, 1, 0, None]),
    ],
)
def test_skips_are_taken_from_the_coarsest_level_on(n_skip: int, skips: list[int | None]) -> None:
    decoder = build(*PYRAMIDS["TransUNet"], n_skip=n_skip)
    assert decoder.skips == skips
    state = decoder.state_dict()
    wide = [0 if skip is None else 3 + skip for skip in skips]
    joined = [channels + skip for channels, skip in zip((10, 8, 6, 4), wide, strict=True)]
    assert [state[f"blocks.{level}.conv1.0.weight"].shape[1] for level in range(4)] == joined


@pytest.mark.parametrize(
    ("strides", "widths"),
    [
        ([(32, 32)], [8, 8, 6, 4, 2]),
        ([(16, 16)], [8, 6, 4, 2]),
        ([(4, 4)], [4, 2]),
        ([(1, 1)], [2]),
    ],
)
def test_the_last_channels_are_those_of_full_resolution(strides: Strides, widths: list[int]) -> None:
    decoder = build(strides, (32, 32))
    state = decoder.state_dict()
    assert [len(state[f"blocks.{level}.conv2.0.weight"]) for level in range(len(decoder.blocks))] == widths


def test_coarse_skips_are_projected_and_fine_ones_are_not() -> None:
    coarse, exact = build(*PYRAMIDS["UNETR"]), build(*PYRAMIDS["TransUNet"])
    projected = [block.project.out_channels for block in coarse.blocks if isinstance(block.project, nn.Conv3d)]
    assert projected == [8, 6, 4]
    assert all(isinstance(block.project, nn.Identity) for block in exact.blocks)


def test_upsampling_keeps_corners() -> None:
    decoder = build([(2, 2)], (8, 8), decoder_channels=(4,)).eval()
    seen: list[Tensor] = []
    decoder.get_submodule("blocks.0.conv1").register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    features = pyramid([(2, 2)], (8, 8))
    decoder(features, torch.rand(2, 1, 8, 8))
    coarse = decoder.conv_more(features.maps[0])
    torch.testing.assert_close(seen[0][..., [0, -1], :][..., [0, -1]], coarse[..., [0, -1], :][..., [0, -1]])


def test_the_loss_is_the_published_one() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 3, 6, 6), torch.randint(2, (3, 6, 6))  # label 2 does not occur
    probabilities, truth = logits.softmax(1), nn.functional.one_hot(target, 3).movedim(-1, 1)
    shared, sizes = (probabilities * truth).sum((0, 2, 3)), (probabilities**2 + truth).sum((0, 2, 3))
    dice = 1 - ((2 * shared + 1e-5) / (sizes + 1e-5)).mean()
    losses = build(*PYRAMIDS["one map"]).loss(logits, target)
    torch.testing.assert_close(losses["dice"], dice)
    torch.testing.assert_close(losses["loss"], 0.5 * dice + 0.5 * nn.functional.cross_entropy(logits, target))


@pytest.mark.parametrize("name", ["TransUNet", "3D"])
def test_precisions_and_memory_formats_agree(name: str) -> None:
    strides, size = PYRAMIDS[name]
    decoder, features, image = build(strides, size).eval(), pyramid(strides, size), torch.rand(2, 1, *size)
    expected = decoder(features, image)
    with torch.autocast("cpu", torch.bfloat16):
        low = decoder(features, image)
    assert (low - expected).norm() < 0.05 * expected.norm()
    double = Features(tuple(feature_map.double() for feature_map in features.maps))
    torch.testing.assert_close(decoder.double()(double, image.double()).float(), expected, atol=1e-5, rtol=1e-5)
    decoder.float().to(memory_format=torch.channels_last if len(size) == 2 else torch.channels_last_3d)
    torch.testing.assert_close(decoder(features, image), expected, atol=1e-5, rtol=1e-5)


def test_bf16_training_step_is_finite() -> None:
    decoder = build(*PYRAMIDS["TransUNet"])
    with torch.autocast("cpu", torch.bfloat16):
        logits = decoder(pyramid(*PYRAMIDS["TransUNet"]), torch.rand(2, 1, 32, 48))
        loss = decoder.loss(logits, torch.randint(3, (2, 32, 48)))["loss"]
    assert logits.dtype == torch.bfloat16
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, list(decoder.parameters())))
