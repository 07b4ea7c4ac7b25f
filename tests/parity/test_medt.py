"""The published MedT and its family agree, and differences are found."""

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


@pytest.mark.parametrize("name", ["medt", "medt_gated", "medt_axial", "medt_logo"])
def test_the_published_networks_agree(verify: Main, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert verify([str(FIXTURES / f"{name}.safetensors")]) == 0
    assert capsys.readouterr().out.count("ok\n") == 9


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("medt_gated", "state.layer2.1.hight_block.f_sve"),
        ("medt_gated", "state.layer1.0.width_block.relative"),
        ("medt_gated", "state.layer3.0.hight_block.bn_similarity.running_var"),
        ("medt_gated", "state.decoder1.bias"),
        ("medt_gated", "mid.layer4"),
        ("medt_axial", "state.layer3.1.width_block.bn_output.bias"),
        ("medt_axial", "state.adjust.weight"),
        ("medt_logo", "state.layer4_p.0.width_block.relative"),
        ("medt", "mid.fused"),
    ],
)
def test_a_perturbed_tensor_is_found(verify: Main, tmp_path: Path, name: str, key: str) -> None:
    def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors[key].view(-1)[0] += 0.1

    assert verify([copy(name, tmp_path, perturb)]) == 1


def test_gradients_of_gates_are_compared(verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["train"]["float64"]["grad_norms"]["layer1.0.hight_block.f_qr"] *= 1.001
        sidecar["train"]["buffers_after_one_train_forward"]["layer4.0.downsample.1.num_batches_tracked"] += 1

    assert verify([copy("medt_gated", tmp_path, falsify)]) == 1
    differing = [line for line in capsys.readouterr().out.splitlines() if "DIFFERS" in line]
    assert [line.split()[0] for line in differing] == ["gradient", "buffers"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _, sidecar: sidecar["args"].update(depth=3), "MedT takes no depth"),
        (lambda _, sidecar: sidecar["args"].update(block="Bottleneck"), "Bottleneck"),
        (lambda _, sidecar: sidecar["args"].update(groups=3), "not a multiple of groups"),
    ],
)
def test_what_is_not_understood_is_told_apart(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, message: str
) -> None:
    assert verify([copy("medt_gated", tmp_path, edit)]) == 2
    assert message in capsys.readouterr().err
