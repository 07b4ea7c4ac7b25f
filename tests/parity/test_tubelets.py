"""VideoMAE and V-JEPA 2 agree with the installed transformers: logits, loss, gradients. Differences are found."""

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.recorded import Comparison
from torch import Tensor, nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VJEPA2Config, VJEPA2ForVideoClassification

VIDEOMAE: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 8,
    "num_frames": 4,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "num_labels": 5,
}
VJEPA: dict[str, Any] = {
    "crop_size": 16,
    "patch_size": 8,
    "frames_per_clip": 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_pooler_layers": 2,
    "pred_hidden_size": 12,
    "pred_num_hidden_layers": 1,
    "num_labels": 5,
}


def roughened(network: nn.Module) -> nn.Module:
    """So that no norm is an identity, and attention not uniform."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def videomae(**options: Any) -> tuple[dict[str, Any], nn.Module]:
    torch.manual_seed(0)
    return VIDEOMAE | options, roughened(VideoMAEForVideoClassification(VideoMAEConfig(**VIDEOMAE | options)))


def vjepa(**options: Any) -> tuple[dict[str, Any], nn.Module]:
    torch.manual_seed(0)
    return VJEPA | options, roughened(VJEPA2ForVideoClassification(VJEPA2Config(**VJEPA | options)))


def clip(arguments: dict[str, Any]) -> Tensor:
    frames = arguments.get("num_frames") or arguments["frames_per_clip"]
    size = arguments.get("image_size") or arguments["crop_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return torch.rand(2, frames, arguments.get("num_channels") or arguments.get("in_chans") or 3, height, width)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_channels": 1, "image_size": [8, 24], "num_frames": 6, "tubelet_size": 3},
        {"hidden_size": 30, "num_attention_heads": 3, "intermediate_size": 123, "num_hidden_layers": 1},
    ],
    ids=["default", "other clips", "other widths"],
)
def test_videomae_agrees(comparison: Comparison, options: dict[str, Any]) -> None:
    arguments, network = videomae(**options)
    assert comparison.run_classifier("videomae", "transformers", arguments, network, clip(arguments)) == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"in_chans": 1, "crop_size": 24, "frames_per_clip": 6, "tubelet_size": 3, "num_pooler_layers": 0},
        {"hidden_size": 40, "num_attention_heads": 2, "mlp_ratio": 48 / 11},  # 20 channels, of which 2 are not turned
    ],
    ids=["default", "other clips", "other widths"],
)
def test_vjepa_agrees(comparison: Comparison, options: dict[str, Any]) -> None:
    arguments, network = vjepa(**options)
    assert comparison.run_classifier("vjepa", "transformers", arguments, network, clip(arguments)) == 0


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("videomae", "videomae.encoder.layer.1.attention.attention.value.bias"),
        ("videomae", "fc_norm.weight"),
        ("vjepa", "vjepa2.encoder.layer.0.attention.query.bias"),
        ("vjepa", "pooler.query_tokens"),
        ("vjepa", "pooler.cross_attention_layer.cross_attn.v_proj.weight"),
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    arguments, network = videomae() if name == "videomae" else vjepa()
    assert comparison.run_classifier(name, "transformers", arguments, network, clip(arguments)) == 0

    tensors = load_file(comparison.folder / "fixture.safetensors")
    tensors[f"state.{key}"].view(-1)[0] += 1.0
    content = json.loads((comparison.folder / "fixture.json").read_text())
    assert comparison.run_written(tensors, content) == 1


def test_what_is_not_understood_is_told_apart(comparison: Comparison) -> None:
    arguments, network = videomae()
    video = clip(arguments)
    unknown = {"use_mean_pooling": False}
    assert comparison.run_classifier("videomae", "transformers", arguments | unknown, network, video) == 2
    assert "VideoMAEAdapter takes no use_mean_pooling" in comparison.captured.readouterr().err
