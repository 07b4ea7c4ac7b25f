"""The published TransUNet agrees, and differences are found, in both forms of its fixtures."""

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


def copy(name: str, folder: Path, edit: Edit) -> str:
    tensors = load_file(FIXTURES / f"{name}.safetensors")
    sidecar = json.loads((FIXTURES / f"{name}.json").read_text())
    edit(tensors, sidecar)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(sidecar))
    return str(folder / f"{name}.safetensors")


@pytest.mark.parametrize(("name", "checks"), [("transunet", 15), ("transunet_vit", 12), ("transunet_npz", 6)])
def test_published_transunet_agrees(verify: Main, capsys: pytest.CaptureFixture[str], name: str, checks: int) -> None:
    assert verify([str(FIXTURES / f"{name}.safetensors")]) == 0
    assert capsys.readouterr().out.count("ok\n") == checks


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("transunet", "state.transformer.embeddings.hybrid_model.body.block2.unit1.gn_proj.bias"),
        ("transunet", "state.transformer.encoder.layer.1.attn.value.weight"),
        ("transunet", "skip.1"),
        ("transunet_vit", "state.transformer.embeddings.position_embeddings"),
        ("transunet_vit", "state.decoder.blocks.3.conv2.1.running_var"),
        ("transunet_npz", "npz.Transformer/encoderblock_0/MultiHeadDotProductAttention_1/out/kernel"),
        ("transunet_npz", "npz.conv_root/kernel"),
        ("transunet_npz", "pos_resized"),
    ],
)
def test_a_perturbed_tensor_is_found(verify: Main, tmp_path: Path, name: str, key: str) -> None:
    def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors[key].view(-1)[0] += 0.1

    assert verify([copy(name, tmp_path, perturb)]) == 1


def test_a_tensor_that_is_not_loaded_is_found(verify: Main, tmp_path: Path) -> None:
    def expect_more(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["state_norms"]["transformer.extra"] = 1.0

    assert verify([copy("transunet_npz", tmp_path, expect_more)]) == 1


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("transunet", lambda _, sidecar: sidecar["args"].update(depth=3), "TransUNet takes no depth"),
        ("transunet", lambda _, sidecar: sidecar["args"].pop("img_size"), "img_size"),
        ("transunet", lambda _, sidecar: sidecar["args"].update(img_size=72), "not a multiple of patch_size"),
        ("transunet_npz", lambda _, sidecar: sidecar["args"].update(num_heads=5), "not a multiple of num_heads"),
        ("transunet_npz", lambda tensors, _: tensors.pop("pos_same"), "pos_same"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, edit: Edit, message: str
) -> None:
    assert verify([copy(name, tmp_path, edit)]) == 2
    assert message in capsys.readouterr().err
