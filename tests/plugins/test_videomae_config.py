"""What the options of VideoMAE accept."""

from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid_videomae.config import VideoMAEOptions


def backbone(**options: Any) -> VideoMAEOptions:
    return VideoMAEOptions.model_validate({"name": "videomae"} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_size": 220}, r"img_size \(220\) is not a multiple of patch_size \(16\)"),
        ({"img_size": (224, 220)}, r"img_size \[224, 220\] is not .*; \[224, 208\] and \[224, 224\] work"),
        ({"num_frames": 15}, r"num_frames \(15\) is not a multiple of tubelet_size \(2\)"),
        ({"embed_dim": 100}, r"embed_dim \(100\) is not a multiple of num_heads \(12\)"),
        ({"mlp_ratio": 1e-4}, r"mlp_ratio \(0.0001\) leaves the MLP no width for embed_dim 768"),
        ({"taps": (3, 12)}, r"below depth \(12\)"),
        ({"drop_path_rate": 1.0}, "less than 1"),
        ({"variant": "tiny"}, "'small', 'base', 'large', 'huge' or 'giant'"),
        ({"weights": {"source": "facebook", "path": "x.pth"}}, "'authors' or 'huggingface'"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_a_variant_gives_the_defaults_of_what_is_not_set() -> None:
    giant = backbone(variant="giant", depth=2)
    assert (giant.embed_dim, giant.depth, giant.mlp_dim, giant.grid) == (1408, 2, 6144, (8, 16, 16))
    assert backbone(variant="base") == backbone().model_copy(update={"variant": "base"})


def test_clips_that_do_not_divide_into_tubelets_are_refused() -> None:
    backbone().check_input(InputInfo("video", 3, (8, 64, 96)))  # other than the position table's
    with pytest.raises(
        ValueError, match=r"size \[15, 224, 230\] .* \[2, 16, 16\] .*; \[14, 224, 224\] and \[16, 224, 240\]"
    ):
        backbone().check_input(InputInfo("video", 3, (15, 224, 230)))
