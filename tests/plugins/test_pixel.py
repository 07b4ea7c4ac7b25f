"""The head `pixel`."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from medvid.losses.options import DiceCEOptions
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes, load_attribute
from medvid_heads.config import PixelHeadOptions
from medvid_heads.pixel import PixelHead
from medvid_heads.plugin import medvid_components

HOST = make_host()

LABELS = TargetInfo("voxel", "class", ("background", "one", "two"))


def build(strides: list[tuple[int, ...]], axes: Axes, **options: Any) -> PixelHead:
    torch.manual_seed(0)
    maps = tuple(MapInfo(4 + index, stride) for index, stride in enumerate(strides))
    input_info = InputInfo(axes, 1, (32,) * len(strides[0]))
    head_options = PixelHeadOptions.model_validate({"name": "pixel"} | options)
    return build_head(HOST.build, head_options, FeatureInfo(maps), input_info, LABELS)


def features(strides: list[tuple[int, ...]], size: tuple[int, ...]) -> Features:
    shapes = [[-(-length // step) for length, step in zip(size, stride, strict=True)] for stride in strides]
    return Features(tuple(torch.randn(2, 4 + index, *shape) for index, shape in enumerate(shapes)))


@pytest.mark.parametrize(
    ("axes", "size", "strides"),
    [
        ("image", (20, 30), [(1, 1), (2, 2)]),
        ("image", (20, 30), [(4, 4)]),
        ("image", (17, 33), [(2, 2)]),
        ("volume", (8, 12, 5), [(1, 1, 1)]),
        ("volume", (16, 16, 9), [(16, 16, 16)]),
        ("volume", (16, 12, 5), [(4, 4, 1), (8, 8, 1)]),
        ("video", (4, 16, 24), [(2, 4, 4)]),
    ],
)
def test_logits_have_the_size_of_the_input(axes: Axes, size: tuple[int, ...], strides: list[tuple[int, ...]]) -> None:
    head = build(strides, axes)
    assert head(features(strides, size), torch.rand(2, 1, *size)).shape == (2, 3, *size)


def test_a_voxel_is_classified_by_its_own_features() -> None:
    head, given = build([(1, 1), (2, 2)], "image"), features([(1, 1), (2, 2)], (6, 8))
    logits = head(given, torch.rand(2, 1, 6, 8))
    weight, bias = head.classifier.weight[:, :, 0, 0], head.classifier.bias
    torch.testing.assert_close(logits, torch.einsum("lc,bchw->blhw", weight, given.maps[0]) + bias[:, None, None])


def test_coarser_maps_are_interpolated_without_shift() -> None:
    """With aligned corners off, a ramp stays a ramp away from the edges, and mirroring commutes."""
    head = build([(4, 4)], "image")
    ramp = torch.arange(8.0).expand(1, 4, 8, 8)
    logits = head(Features((ramp,)), torch.rand(1, 1, 32, 32))
    steps = logits[0, 0, 16, 2:30].diff()
    torch.testing.assert_close(steps, steps[0].expand(27))
    mirrored = head(Features((ramp.flip(-1),)), torch.rand(1, 1, 32, 32))
    torch.testing.assert_close(mirrored, logits.flip(-1))


def test_the_loss_can_be_plain_cross_entropy() -> None:
    logits, target = torch.randn(2, 3, 6, 8), torch.randint(0, 3, (2, 6, 8))
    cross_entropy = functional.cross_entropy(logits, target).item()
    plain, default = build([(1, 1)], "image", loss=DiceCEOptions(lambda_dice=0)), build([(1, 1)], "image")
    assert plain.loss(logits, target)["loss"].item() == pytest.approx(cross_entropy)
    assert default.loss(logits, target)["loss"].item() > cross_entropy + 0.1


@pytest.mark.parametrize("options", [{"lambda_dice": -1}, {"gamma": 2}])
def test_an_impossible_loss_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"lambda_dice|gamma"):
        DiceCEOptions.model_validate(options)


def test_there_are_no_other_options() -> None:
    with pytest.raises(ValidationError, match="channels"):
        PixelHeadOptions.model_validate({"name": "pixel", "channels": 8})


def test_every_parameter_gets_a_gradient_in_any_precision() -> None:
    head = build([(2, 2, 2)], "volume").double()
    given = Features(tuple(one.double() for one in features([(2, 2, 2)], (8, 8, 8)).maps))
    target = torch.randint(0, 3, (2, 8, 8, 8))
    head.loss(head(given, torch.rand(2, 1, 8, 8, 8)), target)["loss"].backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())
    low = build([(2, 2, 2)], "volume")
    with torch.autocast("cpu", torch.bfloat16):
        logits = low(features([(2, 2, 2)], (8, 8, 8)), torch.rand(2, 1, 8, 8, 8))
    assert logits.dtype == torch.bfloat16
    assert low.loss(logits, target)["loss"].dtype == torch.float32


def test_component_resolves_and_listing_it_imports_no_torch() -> None:
    specs = {spec.name: spec for spec in medvid_components()}
    assert load_attribute(specs["pixel"].target) is PixelHead
    assert load_attribute(specs["pixel"].config) is PixelHeadOptions
    code = "import sys, medvid_heads.plugin, medvid_heads.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
