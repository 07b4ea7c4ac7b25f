"""What the options of TimeSformer accept."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec, load_attribute
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.plugin import medvid_components


def backbone(**options: Any) -> TimeSformerOptions:
    return TimeSformerOptions(**({"name": "timesformer"} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_size": 100}, r"img_size \(100\) is not a multiple of patch_size \(16\)"),
        (
            {"img_size": (32, 40)},
            r"img_size \[32, 40\] is not a multiple .*; \[32, 32\] and \[32, 48\] work",
        ),
        ({"img_size": 48, "patch_size": (16, 32)}, r"img_size \(48\) is not a multiple of patch_size \[16, 32\]"),
        ({"img_size": (32, 32, 32)}, "img_size"),
        ({"embed_dim": 100}, r"embed_dim \(100\) is not a multiple of num_heads \(12\)"),
        ({"mlp_ratio": 0.001}, "leaves the MLP no width"),
        ({"taps": (3, 12)}, r"below depth \(12\)"),
        ({"taps": (6, 3)}, "ascend"),
        ({"attention_type": "axial"}, "'joint_space_time' or 'space_only'"),
        ({"attention_type": "space_only", "time_embed_std": 0.5}, "which has no time table"),
        ({"time_embed_std": -1}, "greater than or equal to 0"),
        ({"drop_path_rate": 1.0}, "less than 1"),
        ({"num_frames": 0}, "greater than 0"),
        ({"hidden_size": 768}, "hidden_size"),
        ({"weights": {"source": "elsewhere", "path": "x.pyth"}}, "'facebook', 'huggingface' or 'vit'"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_one_number_stands_for_both_axes() -> None:
    assert backbone().grid == backbone(img_size=(224, 224), patch_size=(16, 16)).grid == (14, 14)
    assert backbone(img_size=(32, 48), patch_size=(8, 16)).grid == (4, 3)


def test_the_mlp_is_as_wide_as_published() -> None:
    assert backbone().mlp_dim == 3072
    assert backbone(embed_dim=48, mlp_ratio=2.7).mlp_dim == 129  # rounded down, as int() does
    assert int(60 * (123 / 60)) == 122  # as floats multiply
    assert backbone(embed_dim=60, mlp_ratio=123 / 60).mlp_dim == 123


@pytest.mark.parametrize("size", [(8, 224, 224), (3, 16, 320)])
def test_frames_of_any_number_and_size_in_patches_are_taken(size: tuple[int, ...]) -> None:
    backbone().check_input(InputInfo("video", 3, size))


def test_frames_that_do_not_divide_into_patches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames of 224 x 230 do not divide into patches of 16 x 16; .* patch_size"):
        backbone().check_input(InputInfo("video", 3, (8, 224, 230)))


def test_the_component_resolves_and_listing_it_imports_no_torch() -> None:
    spec, _ = medvid_components()
    assert isinstance(spec, BackboneSpec)
    assert load_attribute(spec.target).__name__ == "TimeSformer"
    assert load_attribute(spec.config) is TimeSformerOptions
    assert callable(load_attribute(spec.weights))
    code = "import sys, medvid_timesformer.plugin, medvid_timesformer.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
