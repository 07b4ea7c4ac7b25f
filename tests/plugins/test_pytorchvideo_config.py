"""What the options of SlowFast and X3D accept."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec, load_attribute
from medvid_pytorchvideo.config import SlowFastOptions, X3DOptions
from medvid_pytorchvideo.plugin import medvid_components


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 34}, "18, 50, 101 or 152"),
        ({"width": 60}, r"width \(60\) is not a multiple of beta_inv \(8\)"),
        ({"fusion_kernel_size": 4}, r"fusion_kernel_size \(4\) has to be odd"),
        ({"res4_temporal_blocks": 7}, "res4_temporal_blocks is 7, but res4 of R50 has 6 blocks"),
        ({"alpha": 0}, "greater than 0"),
        ({"weights": {"source": "hub", "path": "x.pyth"}}, "'pytorchvideo'"),
    ],
)
def test_impossible_networks_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SlowFastOptions(name="slowfast", **options)


def test_depth_of_x3d_is_its_variants_unless_given() -> None:
    depths = [X3DOptions(name="x3d", variant=variant).expansion_of_depth for variant in ("XS", "S", "M", "L")]
    assert depths == [2.2, 2.2, 2.2, 5.0]
    assert X3DOptions(name="x3d", variant="L", depth_factor=1.0).expansion_of_depth == 1.0
    with pytest.raises(ValidationError, match="'XS', 'S', 'M' or 'L'"):
        X3DOptions.model_validate({"name": "x3d", "variant": "XL"})


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        (SlowFastOptions(name="slowfast"), (30, 64, 64), r"clips of 30 frames: .* multiple of alpha \(4\)"),
        (SlowFastOptions(name="slowfast"), (32, 64, 16), "frames of 64 x 16 are too small; the minimum is 32 x 32"),
        (X3DOptions(name="x3d"), (13, 31, 64), "frames of 31 x 64 are too small"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(options: Any, size: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options.check_input(InputInfo("video", 3, size))


def test_inputs_that_fit_are_accepted() -> None:
    for frames in (4, 32, 64):
        SlowFastOptions(name="slowfast").check_input(InputInfo("video", 3, (frames, 224, 224)))
        X3DOptions(name="x3d").check_input(InputInfo("video", 3, (frames + 1, 32, 224)))
    assert SlowFastOptions(name="slowfast", alpha=8).frames_of_image() == 8


def test_components_resolve_and_listing_them_imports_no_torch() -> None:
    for spec in medvid_components():
        if not isinstance(spec, BackboneSpec):
            continue
        assert load_attribute(spec.target).__name__ == spec.target.partition(":")[2]
        assert issubclass(load_attribute(spec.config), SlowFastOptions | X3DOptions)
        assert callable(load_attribute(spec.weights))
    code = "import sys, medvid_pytorchvideo.plugin, medvid_pytorchvideo.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
