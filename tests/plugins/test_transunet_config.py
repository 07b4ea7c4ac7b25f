"""What the options of TransUNet and its decoder accept."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.kinds import KINDS
from medvid.plugin.specs import load_attribute
from medvid_transunet.config import CascadedUpsamplerOptions, TransUNetOptions
from medvid_transunet.plugin import medvid_components


def backbone(**options: Any) -> TransUNetOptions:
    return TransUNetOptions(**({"name": "transunet", "img_size": (224, 224)} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_size": (500, 375)}, r"multiple of patch_size \(16\); \[496, 368\] and \[512, 384\] work"),
        ({"img_size": (8, 32)}, r"patch_size \(16\); \[16, 32\] works"),
        ({"img_size": (16, 16)}, r"img_size \[16, 16\] leaves its norms a single pixel"),
        ({"img_size": (224,)}, "img_size"),
        ({"img_size": (32, 32, 32)}, "img_size"),
        ({"patch_size": 14}, r"patch_size \(14\) is not a multiple of the ResNet's stride, 16"),
        ({"hidden_size": 100}, r"hidden_size \(100\) is not a multiple of num_heads \(12\)"),
        ({"dropout_rate": 1.0}, "less than 1"),
        ({"attention_dropout_rate": -0.1}, "greater than or equal to 0"),
        ({"resnet": {"width_factor": 0.75}}, "0.75 is not a multiple of 0.5"),
        ({"resnet": {"num_layers": (3, 4, 6, 3)}}, "num_layers"),
        ({"resnet": {"num_layers": (3, 0, 9)}}, "greater than 0"),
        ({"weights": {"source": "timm", "path": "x.npz"}}, "'google_npz' or 'transunet'"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_what_a_pure_vit_allows() -> None:
    assert backbone(resnet=None, patch_size=14, img_size=(224, 42)).patch_size == 14


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((500, 375), r"img_size is \[224, 224\], but .* \[500, 375\]; .* equal: \[496, 368\] and \[512, 384\] work$"),
        ((512, 512), r": \[512, 512\] works$"),
        ((224, 224, 3), r"\[224, 224, 3\]"),
    ],
)
def test_an_input_of_another_size_is_refused(size: tuple[int, ...], message: str) -> None:
    backbone().check_input(InputInfo("image", 1, (224, 224)))
    with pytest.raises(ValueError, match=message):
        backbone().check_input(InputInfo("image", 1, size))


@pytest.mark.parametrize("options", [{"n_skip": -1}, {"decoder_channels": ()}, {"head_channels": 0}, {"n_skips": 2}])
def test_impossible_decoders_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        CascadedUpsamplerOptions(name="cascaded_upsampler", **options)


def test_the_default_loss_is_the_published_one() -> None:
    target = TargetInfo("voxel", "class", ("background", "liver"))
    assert CascadedUpsamplerOptions(name="cascaded_upsampler").loss_for(target).model_dump() == {
        "name": "dice_ce",
        "include_background": True,
        "squared_pred": True,
        "smooth_nr": 1e-5,
        "smooth_dr": 1e-5,
        "batch": True,
        "average": "examples",
        "lambda_dice": 0.5,
        "lambda_ce": 0.5,
    }


def test_components_resolve_and_listing_them_imports_no_torch() -> None:
    for spec in medvid_components():
        assert load_attribute(spec.target).__name__ == spec.target.partition(":")[2]
        assert issubclass(load_attribute(spec.config), load_attribute(KINDS[spec.kind].options))
    code = "import sys, medvid_transunet.plugin, medvid_transunet.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
