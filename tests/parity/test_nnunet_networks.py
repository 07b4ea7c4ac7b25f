"""nnU-Net's networks agree, and what differs is found."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison, Edit, sidecar
from torch import Tensor


@pytest.mark.parametrize(
    ("name", "checks"),
    [("nnunet_net_plain", 6), ("nnunet_net_resenc", 6), ("nnunet_net_primus_v1", 5), ("nnunet_net_fullsize_keys", 12)],
)
def test_nnunets_networks_agree(comparison: Comparison, name: str, checks: int) -> None:
    comparison.assert_agrees(name, checks)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("nnunet_net_plain", "state.decoder.stages.0.convs.1.norm.bias"),
        ("nnunet_net_plain", "state.decoder.seg_layers.0.bias"),
        ("nnunet_net_resenc", "state.encoder.stages.1.blocks.0.skip.1.conv.weight"),
        ("nnunet_net_resenc", "state.encoder.stem.convs.0.norm.weight"),
        ("nnunet_net_primus_v1", "state.eva.pos_embed"),
        ("nnunet_net_primus_v1", "state.eva.blocks.1.attn.q_proj.weight"),
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key)


def test_wrong_losses_and_gradients_are_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["parameters"] += 1
        sidecar["train"]["loss_float64"] += 1e-3
        sidecar["train"]["grad_norms_float64"]["decoder.transpconvs.0.bias"] *= 1.001
        sidecar["train"]["grad_norms_float64"]["decoder.seg_layers.0.bias"] = 0.1

    found = comparison.differing("nnunet_net_plain", falsify)
    assert found == ["parameters", "loss", "gradient", "parameters"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _, sidecar: sidecar["args"].update(cls="UNetPlusPlus"), "no adapter for 'UNetPlusPlus'"),
        (lambda _, sidecar: sidecar["args"].update(depth=3), "take no depth"),
        (lambda _, sidecar: sidecar["args"].pop("strides"), "strides"),
        (lambda _, sidecar: sidecar["args"].update(kernel_sizes=[[2, 2, 2]] * 3), "has to be odd"),
    ],
)
def test_what_is_not_understood_is_told_apart(comparison: Comparison, edit: Edit, message: str) -> None:
    comparison.assert_refuses("nnunet_net_plain", edit, message)


def test_a_missing_key_of_full_size_is_found(comparison: Comparison) -> None:
    listed = sidecar("nnunet_net_fullsize_keys")
    del listed["primus_s_128"]["keys"]["eva.norm.bias"]
    assert comparison.run_written({}, listed) == 1
