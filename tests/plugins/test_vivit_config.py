"""What the options of ViViT accept."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import load_attribute
from medvid_vivit.config import ViViTOptions
from medvid_vivit.plugin import medvid_components


def backbone(**options: Any) -> ViViTOptions:
    return ViViTOptions(name="vivit", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_frames": 5},
            r"\[5, 224, 224\], are not multiples of .* \[2, 16, 16\]; \[4, .* and \[6, 224, 224\] work",
        ),
        ({"image_size": (8, 224)}, r"; \[32, 16, 224\] works"),
        ({"image_size": 224}, "image_size"),
        ({"tubelet_size": (16, 16)}, "tubelet_size"),
        ({"hidden_size": 100}, r"hidden_size \(100\) is not a multiple of num_heads \(12\)"),
        ({"model": "factorised_encoder", "temporal_num_heads": 5}, r"multiple of temporal_num_heads \(5\)"),
        ({"model": "factorised_dot_product", "num_heads": 3}, r"num_heads \(3\) has to be even"),
        ({"model": "factorised_self_attention", "classifier": "token"}, "has no class token; use gap"),
        ({"model": "spacetime"}, "'joint', 'factorised_encoder'"),
        ({"num_heads": 0}, "1 validation error .*\n.*num_heads"),
        ({"taps": (3, 12)}, r"below num_layers \(12\)"),
        ({"taps": (6, 3)}, "ascend"),
        ({"stochastic_droplayer_rate": 1.0}, "less than 1"),
        ({"weights": {"source": "timm", "path": "x.pt"}}, "'huggingface', 'scenic' or 'vit'"),
        ({"weights": {"source": "scenic", "path": "x.npz", "grid": (14, 14)}}, "grid"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_defaults_depend_on_the_model() -> None:
    assert backbone().pool == backbone(model="factorised_encoder").pool == "token"
    assert backbone(model="factorised_self_attention").pool == "gap"
    assert backbone(model="factorised_dot_product").pool == "gap"
    assert backbone(model="factorised_encoder", classifier="gap").pool == "gap"
    large = backbone(model="factorised_encoder", hidden_size=1024, num_heads=16, mlp_dim=4096)
    assert large.temporal_sizes == (4, 16, 4096)
    assert large.grid == (16, 14, 14)


def test_heads_of_a_temporal_encoder_that_is_not_there_do_not_matter() -> None:
    assert backbone(hidden_size=768, temporal_num_heads=5).temporal_sizes[1] == 5


def test_an_input_of_another_size_is_refused() -> None:
    backbone().check_input(InputInfo("video", 3, (32, 224, 224)))
    with pytest.raises(ValueError, match=r"are \[32, 224, 224\], but .* \[16, 224, 224\]; .*: \[16, 224, 224\] works$"):
        backbone().check_input(InputInfo("video", 3, (16, 224, 224)))
    with pytest.raises(ValueError, match=r"\[14, 208, 224\] and \[16, 224, 224\] work$"):
        backbone().check_input(InputInfo("video", 3, (15, 220, 224)))


def test_components_resolve_and_listing_them_imports_no_torch() -> None:
    (spec,) = medvid_components()
    assert load_attribute(spec.target).__name__ == "ViViT"
    assert load_attribute(spec.config) is ViViTOptions
    code = "import sys, medvid_vivit.plugin, medvid_vivit.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
