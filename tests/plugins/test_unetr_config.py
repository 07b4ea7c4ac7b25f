"""What the options of UNETR and its decoder accept."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.kinds import KINDS
from medvid.plugin.specs import load_attribute
from medvid_unetr.config import UnetrDecoderOptions, UNETROptions
from medvid_unetr.plugin import medvid_components


def backbone(**options: Any) -> UNETROptions:
    return UNETROptions(**({"name": "unetr", "img_size": (32, 32, 48)} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_size": (32, 40, 48)}, r"img_size \[32, 40, 48\] is not a multiple of patch_size \(16\)"),
        ({"img_size": (32,)}, "at least 2"),
        ({"hidden_size": 100}, r"hidden_size \(100\) is not a multiple of num_heads \(12\)"),
        ({"taps": (3, 12)}, r"below num_layers \(12\)"),
        ({"taps": (6, 3)}, "ascend"),
        ({"dropout_rate": 1.0}, "less than 1"),
        ({"weights": {"source": "elsewhere", "path": "x.pt"}}, "'monai' or 'research_contributions'"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_an_input_of_another_size_is_refused() -> None:
    backbone().check_input(InputInfo("volume", 1, (32, 32, 48)))
    with pytest.raises(ValueError, match=r"img_size is \[32, 32, 48\], but .* \[32, 32, 32\]"):
        backbone().check_input(InputInfo("volume", 1, (32, 32, 32)))


@pytest.mark.parametrize(
    ("norm_name", "message"),
    [
        ("group", "needs num_groups that divide feature_size"),
        (["group", {"num_groups": 3}], "needs num_groups that divide feature_size"),
        (["batch", {"num_groups": 4}], "a batch norm has no num_groups"),
        (["group", {"num_groups": 4, "momentum": 0.2}], "a group norm has no momentum"),
        (["instance", {"affin": True}], "affin"),
    ],
)
def test_impossible_norms_are_refused(norm_name: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UnetrDecoderOptions(name="unetr_decoder", norm_name=norm_name)


def test_norms_and_their_arguments() -> None:
    assert UnetrDecoderOptions(name="unetr_decoder").norm == ("instance", {})
    options = UnetrDecoderOptions.model_validate({"name": "x", "norm_name": ["group", {"num_groups": 4}]})
    assert options.norm == ("group", {"num_groups": 4})


def test_components_resolve_and_listing_them_imports_no_torch() -> None:
    for spec in medvid_components():
        assert load_attribute(spec.target).__name__ == spec.target.partition(":")[2]
        assert issubclass(load_attribute(spec.config), load_attribute(KINDS[spec.kind].options))
    code = "import sys, medvid_unetr.plugin, medvid_unetr.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
