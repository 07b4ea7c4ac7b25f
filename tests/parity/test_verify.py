"""The fixtures agree, what differs is found, and what is no fixture is told apart."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity.recorded import FIXTURES, Comparison
from torch import Tensor

Main = Callable[[Sequence[str]], int]


def test_published_unetr_agrees() -> None:
    files = [str(FIXTURES / f"{name}.safetensors") for name in ("unetr", "unetr_conv", "unetr_rc")]
    command = [sys.executable, str(FIXTURES.parent / "verify.py"), *files]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok\n") == 3 * 22
    assert "DIFFERS" not in result.stdout


@pytest.mark.parametrize(
    "key",
    [
        "state.vit.patch_embedding.position_embeddings",
        "state.vit.blocks.11.mlp.linear2.weight",
        "state.encoder3.blocks.0.1.conv2.conv.weight",
        "state.decoder2.conv_block.conv3.conv.weight",
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, key: str) -> None:
    comparison.assert_notices("unetr", key)


def test_wrong_gradients_and_losses_are_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["train"]["loss_parts"]["dice"] += 0.01
        sidecar["train"]["float64"]["grad_norms"]["out.conv.conv.weight"] *= 1.001
        sidecar["train"]["params_without_grad"].append("out.conv.conv.weight")
        sidecar["n_params"] += 1

    assert comparison.differing("unetr", falsify) == ["parameters,", "dice", "gradient", "parameters"]


def test_unexplained_tensors_are_found(comparison: Comparison) -> None:
    def add(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["state.vit.extra"] = torch.zeros(1)
        del tensors["state.vit.norm.bias"]

    assert comparison.run_changed("unetr", add) == 1
    assert "in the file, but not in the model: vit.extra" in comparison.captured.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "UNet"}, "no adapter for 'UNet'"),
        ({"args": {"img_size": 32, "depth": 3}}, "UNETR takes no depth"),
        ({"args": {"img_size": 32}}, "in_channels"),
        ({"args": {"in_channels": 1, "out_channels": 3, "img_size": 40}}, "not a multiple of patch_size"),
    ],
)
def test_unknown_models_and_arguments_are_told_apart(
    comparison: Comparison, change: dict[str, Any], message: str
) -> None:
    comparison.assert_refuses("unetr", lambda _, sidecar: sidecar.update(change), message)


def test_no_fixture_at_all(verify: Main, tmp_path: Path) -> None:
    assert verify([str(tmp_path / "missing.safetensors")]) == 2
    assert verify([]) == 2


def test_the_other_form_of_sidecar_is_read(comparison: Comparison) -> None:
    """Fixtures of video models: `constructor`, and gradients of an evaluation pass at the top level."""

    def rewrite(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        train = sidecar.pop("train")  # nothing in this fixture differs between training and evaluation
        sidecar |= {"constructor": sidecar.pop("args"), "reference": sidecar.pop("repo"), "loss_ce": train["loss"]}
        sidecar |= {name: train[name] for name in ("grad_norms", "grad_norm_total", "params_without_grad")}

    assert comparison.run_changed("unetr", rewrite) == 0


def test_exact_zeros_need_not_be_listed_as_without_gradient(comparison: Comparison) -> None:
    """Here our keys of the last Longformer layer get zeros, like the published ones; only None is listed."""

    def add(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["grad_norms"]["temporal_encoder.encoder.layer.0.attention.self.key.bias"] = 1e-8  # rounding

    assert comparison.run_changed("vtn", add) == 0


def test_a_published_output_of_little_precision_is_compared_with_as_much(comparison: Comparison) -> None:
    def blur(tensors: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        tensors["output"] += 3e-4
        sidecar["f32_vs_f64"]["max_abs_diff"] = noise

    noise = 2e-4
    assert comparison.run_changed("unetr", blur) == 0
    noise = 1e-5
    assert comparison.run_changed("unetr", blur) == 1


def test_published_scores_agree(verify: Main) -> None:
    fixture = Path(__file__).parents[1] / "evaluation" / "fixtures" / "med_metrics.safetensors"
    assert verify([str(fixture)]) == 0
