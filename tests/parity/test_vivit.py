"""The published ViViTs agree: scenic's models 1 to 4, and transformers' with options that the fixtures leave out."""

from typing import Any

import pytest
import torch
from tests.parity.recorded import Comparison
from torch import Tensor
from transformers import VivitConfig, VivitForVideoClassification


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("vivit_hf", 8),
        ("vivit_scenic", 7),
        ("vivit_fe_scenic", 7),
        ("vivit_fsa_scenic", 7),
        ("vivit_fdp_scenic", 7),
    ],
)
def test_published_vivit_agrees(comparison: Comparison, name: str, checks: int) -> None:
    comparison.assert_agrees(name, checks)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("vivit_hf", "state.vivit.encoder.layer.1.attention.attention.value.weight"),
        ("vivit_scenic", "state.cls"),
        ("vivit_fe_scenic", "state.SpatialTransformer/posembed_input/pos_embedding"),
        ("vivit_fe_scenic", "state.TemporalTransformer/encoderblock_1/MlpBlock_0/Dense_0/kernel"),
        ("vivit_fsa_scenic", "state.Transformer/encoderblock_0/LayerNorm_time/scale"),
        ("vivit_fdp_scenic", "state.Transformer/encoderblock_2/MultiHeadDotProductAttention_0/out/kernel"),
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key, by=0.5)


def test_another_order_of_attention_is_found(comparison: Comparison) -> None:
    def swap(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["constructor"]["attention_config"]["attention_order"] = "space_time"

    assert comparison.run_changed("vivit_fsa_scenic", swap) == 1


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vivit_hf", {"depth": 3}, "ViViT takes no depth"),
        ("vivit_hf", {"hidden_act": "relu"}, "no activation relu"),
        ("vivit_hf", {"num_attention_heads": 5}, "not a multiple of num_heads"),
        ("vivit_scenic", {"spatial_num_layers": 3}, "takes no spatial_num_layers"),
        ("vivit_scenic", {"classifier": "map"}, "classifier"),
        (
            "vivit_scenic",
            {"attention_config": {"type": "factorized_transformer_block"}},
            "factorized_transformer_block",
        ),
        ("vivit_scenic", {"attention_config": {"type": "spacetime", "window": 2}}, "attention_config takes no window"),
        ("vivit_scenic", {"temporal_encoding_config": {"method": "2d_conv"}}, "only tubelets"),
        ("vivit_scenic", {"temporal_encoding_config": {"method": "temporal_sampling"}}, "n_sampled_frames"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    comparison: Comparison, name: str, changes: dict[str, Any], message: str
) -> None:
    comparison.assert_refuses(name, lambda _, sidecar: sidecar["constructor"].update(changes), message)


DEFAULTS: dict[str, Any] = {
    "image_size": 16,
    "num_frames": 4,
    "tubelet_size": [2, 8, 8],
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "num_labels": 5,
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"qkv_bias": False, "hidden_act": "gelu", "layer_norm_eps": 1e-3},
        {"image_size": 21, "num_frames": 5},  # what is not a whole tubelet is left out
        {
            "num_frames": 6,
            "image_size": [8, 16],
            "tubelet_size": [3, 4, 8],
            "num_channels": 1,
            "num_attention_heads": 3,
        },
    ],
)
def test_transformers_agrees(comparison: Comparison, options: dict[str, Any]) -> None:
    arguments = DEFAULTS | options
    torch.manual_seed(0)
    config = VivitConfig(**arguments)
    size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
    clip = torch.rand(2, config.num_frames, config.num_channels, *size)
    model = VivitForVideoClassification(config)  # its names are those of transformers 5
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert comparison.run_classifier("vivit_hf", "transformers", arguments, model, clip) == 0
