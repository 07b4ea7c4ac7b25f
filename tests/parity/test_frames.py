"""The published STAM and VTN agree, and differences are found."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

FIXTURES = Path(__file__).parent / "fixtures"
Main = Callable[[Sequence[str]], int]
Edit = Callable[[dict[str, Tensor], dict[str, Any]], object]
LAYER = "state.temporal_encoder.encoder.layer"


def copy(name: str, folder: Path, edit: Edit) -> str:
    tensors = load_file(FIXTURES / f"{name}.safetensors")
    sidecar = json.loads((FIXTURES / f"{name}.json").read_text())
    edit(tensors, sidecar)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(sidecar))
    return str(folder / f"{name}.safetensors")


@pytest.mark.parametrize("name", ["stam", "vtn"])
def test_the_published_networks_agree(verify: Main, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert verify([str(FIXTURES / f"{name}.safetensors")]) == 0
    printed = capsys.readouterr().out
    assert "feature " in printed
    assert printed.count("ok\n") == 8


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("stam", "state.aggregate.pos_embed"),
        ("stam", "state.aggregate.transformer_enc.layers.1.linear2.bias"),
        ("stam", "state.blocks.1.attn.qkv.bias"),
        ("stam", "state.head.bias"),
        ("stam", "feature"),
        ("vtn", f"{LAYER}.0.attention.self.value.bias"),
        ("vtn", f"{LAYER}.1.attention.self.query_global.bias"),
        ("vtn", f"{LAYER}.0.attention.self.value_global.bias"),
        ("vtn", "state.temporal_encoder.embeddings.token_type_embeddings.weight"),
        ("vtn", "state.mlp_head.0.bias"),
        ("vtn", "state.cls_token"),
    ],
)
def test_a_perturbed_tensor_is_found(verify: Main, tmp_path: Path, name: str, key: str) -> None:
    def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors[key].view(-1)[0] += 0.3

    assert verify([copy(name, tmp_path, perturb)]) == 1


def test_the_indices_of_frames_matter(verify: Main, tmp_path: Path) -> None:
    def shift(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["position_ids"] += 1

    assert verify([copy("vtn", tmp_path, shift)]) == 1


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("stam", ("t_heads",), 4),
        ("stam", ("num_heads",), 8),
        ("vtn", ("num_attention_heads",), 6),
        ("vtn", ("attention_window",), [8, 8]),
        ("vtn", ("backbone", "num_heads"), 2),
    ],
)
def test_arguments_reach_the_network(
    verify: Main, tmp_path: Path, name: str, path: tuple[str, ...], value: Any
) -> None:
    def change(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        *outer, last = path
        arguments = sidecar["constructor"]
        for key in outer:
            arguments = arguments[key]
        assert arguments[last] != value
        arguments[last] = value

    assert verify([copy(name, tmp_path, change)]) == 1


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("stam", lambda _, sidecar: sidecar["constructor"].update(pool="mean"), "STAM takes no pool"),
        ("stam", lambda _, sidecar: sidecar["constructor"].update(num_heads=5), "not a multiple of num_heads"),
        ("stam", lambda _, sidecar: sidecar["constructor"].pop("num_classes"), "num_classes"),
        ("vtn", lambda _, sidecar: sidecar["constructor"].update(stride=2), "VTN takes no stride"),
        ("vtn", lambda _, sidecar: sidecar["constructor"].update(backbone="R50"), "VTN's ViT is 'R50', not its arg"),
        ("vtn", lambda _, sidecar: sidecar["constructor"]["backbone"].update(pool=1), "VTN's ViT takes no pool"),
        ("vtn", lambda _, sidecar: sidecar["constructor"].update(hidden_act="relu"), "VTN with hidden_act 'relu'"),
        ("vtn", lambda tensors, _: tensors.pop("position_ids"), "position_ids"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, edit: Edit, message: str
) -> None:
    assert verify([copy(name, tmp_path, edit)]) == 2
    assert message in capsys.readouterr().err
