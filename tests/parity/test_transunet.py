"""The published TransUNet agrees, and differences are found, in both forms of its fixtures."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison, Edit
from torch import Tensor


@pytest.mark.parametrize(("name", "checks"), [("transunet", 15), ("transunet_vit", 12), ("transunet_npz", 6)])
def test_published_transunet_agrees(comparison: Comparison, name: str, checks: int) -> None:
    comparison.assert_agrees(name, checks)


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
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key)


def test_a_tensor_that_is_not_loaded_is_found(comparison: Comparison) -> None:
    def expect_more(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["state_norms"]["transformer.extra"] = 1.0

    assert comparison.run_changed("transunet_npz", expect_more) == 1


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
def test_what_is_not_understood_is_told_apart(comparison: Comparison, name: str, edit: Edit, message: str) -> None:
    comparison.assert_refuses(name, edit, message)
