"""TimeSformer agrees with the authors' code and with transformers, and differences are found."""

from typing import Any

import pytest
import torch
from tests.parity.recorded import Comparison
from transformers import TimesformerConfig, TimesformerForVideoClassification

NAMES = ("facebook", "facebook_joint", "facebook_space", "facebook_resize", "hf", "hf_joint")


@pytest.mark.parametrize("name", NAMES)
def test_the_published_networks_agree(comparison: Comparison, name: str) -> None:
    comparison.assert_agrees(f"timesformer_{name}", checks=8)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("facebook", "state.time_embed"),
        ("facebook", "state.cls_token"),
        ("facebook", "state.blocks.0.temporal_fc.bias"),
        ("facebook", "state.blocks.2.temporal_attn.qkv.weight"),
        ("facebook", "feature"),
        ("facebook_resize", "state.pos_embed"),
        ("facebook_space", "state.patch_embed.proj.weight"),
        ("hf", "state.timesformer.encoder.layer.1.temporal_layernorm.weight"),
        ("hf_joint", "state.timesformer.encoder.layer.1.intermediate.dense.bias"),
        ("hf_joint", "state.classifier.weight"),
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(f"timesformer_{name}", key)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("facebook", {"tubelet_size": 2}, "TimeSformer takes no tubelet_size"),
        ("hf", {"img_size": 32}, "TimeSformer takes no img_size"),
        ("facebook", {"hybrid_backbone": "resnet"}, "only patches as they are"),
        ("hf", {"hidden_act": "relu"}, "exact GELU"),
        ("facebook", {"norm_layer": "BatchNorm"}, "norm_layer 'BatchNorm' is not understood"),
        ("hf", {"num_frames": 6}, "other than num_frames and image_size say"),
        ("facebook", {"attention_type": "axial"}, "attention_type"),
        ("facebook", {"num_classes": None}, "int"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    comparison: Comparison, name: str, change: dict[str, Any], message: str
) -> None:
    comparison.assert_refuses(f"timesformer_{name}", lambda _, sidecar: sidecar["constructor"].update(change), message)


DEFAULTS: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 4,
    "num_frames": 3,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "num_labels": 5,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "divided": {},
    "joint": {"attention_type": "joint_space_time"},
    "no qkv bias": {"qkv_bias": False},
    "other widths": {"hidden_size": 60, "num_attention_heads": 6, "intermediate_size": 123},
    "another eps": {"layer_norm_eps": 0.1},
    "one channel": {"num_channels": 1},
    "space only, a result for each frame": {"attention_type": "space_only", "num_frames": 1},
    "pixels that no patch takes": {"image_size": 19},
    "dropout, which is off": {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_agree_with_the_installed_transformers(comparison: Comparison, options: dict[str, Any]) -> None:
    arguments = DEFAULTS | options
    torch.manual_seed(0)
    model = TimesformerForVideoClassification(TimesformerConfig(**arguments))
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    size = [arguments["image_size"]] * 2
    video = torch.rand(2, arguments["num_frames"], arguments.get("num_channels", 3), *size)
    assert comparison.run_classifier("timesformer_installed", "transformers", arguments, model, video) == 0
