"""What the options of V-JEPA accept."""

from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid_vjepa.config import VJEPAOptions


def backbone(**options: Any) -> VJEPAOptions:
    return VJEPAOptions.model_validate({"name": "vjepa"} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embed_dim": 100}, r"embed_dim \(100\) is not a multiple of num_heads \(16\)"),
        ({"embed_dim": 112}, r"embed_dim \(112\) leaves 7 channels to each of num_heads \(16\); .* even number"),
        ({"embed_dim": 64}, "leaves 4 channels .* of at least 6"),
        ({"mlp_ratio": 1e-4}, r"mlp_ratio \(0.0001\) leaves the MLP no width for embed_dim 1024"),
        ({"taps": (6, 3)}, "ascend"),
        ({"num_pooler_layers": -1}, "num_pooler_layers"),
        ({"variant": "base"}, "'large', 'huge' or 'giant'"),
        ({"weights": {"source": "facebook", "path": "x.pt"}}, "'authors' or 'huggingface'"),
    ],
)
def test_impossible_backbones_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_a_variant_gives_the_defaults_of_what_is_not_set() -> None:
    giant = backbone(variant="giant", depth=2)
    assert (giant.embed_dim, giant.depth, giant.num_heads, giant.mlp_dim) == (1408, 2, 22, 6144)


def test_clips_that_do_not_divide_into_tubelets_are_refused() -> None:
    backbone().check_input(InputInfo("video", 3, (8, 64, 96)))
    with pytest.raises(ValueError, match=r"size \[15, 256, 256\] .*; \[14, 256, 256\] and \[16, 256, 256\] work"):
        backbone().check_input(InputInfo("video", 3, (15, 256, 256)))
