"""The published ViViTs agree: scenic's models 1 to 4, and transformers' with options that the fixtures leave out."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import VivitConfig, VivitForVideoClassification

FIXTURES = Path(__file__).parent / "fixtures"
Main = Callable[[Sequence[str]], int]
Edit = Callable[[dict[str, Tensor], dict[str, Any]], object]


def copy(name: str, folder: Path, edit: Edit) -> str:
    tensors = load_file(FIXTURES / f"{name}.safetensors")
    sidecar = json.loads((FIXTURES / f"{name}.json").read_text())
    edit(tensors, sidecar)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(sidecar))
    return str(folder / f"{name}.safetensors")


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
def test_published_vivit_agrees(verify: Main, capsys: pytest.CaptureFixture[str], name: str, checks: int) -> None:
    assert verify([str(FIXTURES / f"{name}.safetensors")]) == 0
    assert capsys.readouterr().out.count("ok\n") == checks


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
def test_a_perturbed_tensor_is_found(verify: Main, tmp_path: Path, name: str, key: str) -> None:
    def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors[key].view(-1)[0] += 0.5

    assert verify([copy(name, tmp_path, perturb)]) == 1


def test_another_order_of_attention_is_found(verify: Main, tmp_path: Path) -> None:
    def swap(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["constructor"]["attention_config"]["attention_order"] = "space_time"

    assert verify([copy("vivit_fsa_scenic", tmp_path, swap)]) == 1


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
        ("vivit_scenic", {"temporal_encoding_config": {"method": "temporal_sampling"}}, "only tubelets"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, changes: dict[str, Any], message: str
) -> None:
    assert verify([copy(name, tmp_path, lambda _, sidecar: sidecar["constructor"].update(changes))]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"qkv_bias": False, "hidden_act": "gelu", "layer_norm_eps": 1e-3},
        {
            "num_frames": 6,
            "image_size": [8, 16],
            "tubelet_size": [3, 4, 8],
            "num_channels": 1,
            "num_attention_heads": 3,
        },
    ],
)
def test_transformers_agrees(verify: Main, tmp_path: Path, options: dict[str, Any]) -> None:
    assert verify([write_fixture(tmp_path, DEFAULTS | options)]) == 0


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


def write_fixture(folder: Path, arguments: dict[str, Any]) -> str:
    torch.manual_seed(0)
    config = VivitConfig(**arguments)
    size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
    clip, target = torch.rand(2, config.num_frames, config.num_channels, *size), torch.tensor([1, 4])
    model = VivitForVideoClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    output = model(clip).logits
    loss = torch.nn.functional.cross_entropy(output, target)
    loss.backward()
    norms = {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()}
    state = {f"state.{name}": value for name, value in model.state_dict().items()}  # names of transformers 5
    save_file(state | {"input": clip, "output": output.detach(), "target": target}, folder / "vivit.safetensors")
    sidecar = {
        "model": "vivit_hf",
        "reference": "transformers",
        "constructor": arguments,
        "n_params": model.num_parameters(),
        "loss_ce": loss.item(),
        "grad_norms": {name: norm for name, norm in norms.items() if norm > 1e-3 * max(norms.values())},
        "grad_norm_total": torch.tensor(list(norms.values())).norm().item(),
        "params_without_grad": [name for name, norm in norms.items() if norm == 0],
    }
    (folder / "vivit.json").write_text(json.dumps(sidecar))
    return str(folder / "vivit.safetensors")
