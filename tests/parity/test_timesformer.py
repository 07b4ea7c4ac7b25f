"""TimeSformer agrees with the authors' code and with transformers, and differences are found."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TimesformerConfig, TimesformerForVideoClassification

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = ("facebook", "facebook_joint", "facebook_space", "facebook_resize", "hf", "hf_joint")
Main = Callable[[Sequence[str]], int]
Edit = Callable[[dict[str, Tensor], dict[str, Any]], object]


def copy(name: str, folder: Path, edit: Edit) -> str:
    tensors = load_file(FIXTURES / f"timesformer_{name}.safetensors")
    sidecar = json.loads((FIXTURES / f"timesformer_{name}.json").read_text())
    edit(tensors, sidecar)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(sidecar))
    return str(folder / f"{name}.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_the_published_networks_agree(verify: Main, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert verify([str(FIXTURES / f"timesformer_{name}.safetensors")]) == 0
    assert capsys.readouterr().out.count("ok\n") == 8


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
def test_a_perturbed_tensor_is_found(verify: Main, tmp_path: Path, name: str, key: str) -> None:
    def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors[key].view(-1)[0] += 0.1

    assert verify([copy(name, tmp_path, perturb)]) == 1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("facebook", {"tubelet_size": 2}, "TimeSformer takes no tubelet_size"),
        ("hf", {"img_size": 32}, "TimeSformer takes no img_size"),
        ("facebook", {"hybrid_backbone": "resnet"}, "only patches as they are"),
        ("hf", {"hidden_act": "relu"}, "exact GELU"),
        ("facebook", {"norm_layer": "BatchNorm"}, "norm_layer 'BatchNorm' is not understood"),
        ("facebook", {"img_size": 30}, "not a multiple of patch_size"),
        ("facebook", {"attention_type": "axial"}, "attention_type"),
        ("facebook", {"num_classes": None}, "int"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, change: dict[str, Any], message: str
) -> None:
    assert verify([copy(name, tmp_path, lambda _, sidecar: sidecar["constructor"].update(change))]) == 2
    assert message in capsys.readouterr().err


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
    "dropout, which is off": {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_agree_with_the_installed_transformers(verify: Main, tmp_path: Path, options: dict[str, Any]) -> None:
    assert verify([write_fixture(tmp_path, DEFAULTS | options)]) == 0


def write_fixture(folder: Path, arguments: dict[str, Any]) -> str:
    torch.manual_seed(0)
    model = TimesformerForVideoClassification(TimesformerConfig(**arguments)).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    video = torch.rand(2, arguments["num_frames"], arguments.get("num_channels", 3), 16, 16)
    target = torch.tensor([1, 4])
    output = model(video).logits
    loss = torch.nn.functional.cross_entropy(output, target)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norms = {key: grad.norm().item() for (key, _), grad in zip(model.named_parameters(), gradients, strict=True)}
    state = {f"state.{key}": value.clone() for key, value in model.state_dict().items()}
    save_file(state | {"input": video, "output": output.detach(), "target": target}, folder / "hf.safetensors")
    sidecar = {
        "model": "timesformer_installed",
        "reference": "transformers TimesformerForVideoClassification",
        "constructor": arguments,
        "n_params": sum(parameter.numel() for parameter in model.parameters()),
        "loss_ce": loss.item(),
        "grad_norms": norms,
        "grad_norm_total": sum(norm**2 for norm in norms.values()) ** 0.5,
        "params_without_grad": [],
    }
    (folder / "hf.json").write_text(json.dumps(sidecar))
    return str(folder / "hf.safetensors")
