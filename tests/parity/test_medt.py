"""The published MedT and its family agree, and differences are found."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison, Edit
from torch import Tensor


@pytest.mark.parametrize("name", ["medt", "medt_gated", "medt_axial", "medt_logo"])
def test_the_published_networks_agree(comparison: Comparison, name: str) -> None:
    comparison.assert_agrees(name, checks=9)


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
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key)


def test_gradients_of_gates_are_compared(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["train"]["float64"]["grad_norms"]["layer1.0.hight_block.f_qr"] *= 1.001
        sidecar["train"]["buffers_after_one_train_forward"]["layer4.0.downsample.1.num_batches_tracked"] += 1

    assert comparison.differing("medt_gated", falsify) == ["gradient", "buffers"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _, sidecar: sidecar["args"].update(depth=3), "MedT takes no depth"),
        (lambda _, sidecar: sidecar["args"].update(block="Bottleneck"), "Bottleneck"),
        (lambda _, sidecar: sidecar["args"].update(groups=3), "not a multiple of groups"),
    ],
)
def test_what_is_not_understood_is_told_apart(comparison: Comparison, edit: Edit, message: str) -> None:
    comparison.assert_refuses("medt_gated", edit, message)


def test_sizes_that_the_published_patches_do_not_cover_are_told_apart(comparison: Comparison) -> None:
    comparison.assert_refuses("medt", lambda _, sidecar: sidecar["args"].update(img_size=160), "first 128 rows")


def test_statistics_without_an_effect_are_not_compared(comparison: Comparison) -> None:
    def add(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        buffers = sidecar["train"]["buffers_after_one_train_forward"]
        buffers["layer1.0.hight_block.bn_similarity.running_mean"] = 1.0

    assert comparison.run_changed("medt_gated", add) == 0
