"""The published STAM and VTN agree, and differences are found."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison, Edit
from torch import Tensor

LAYER = "state.temporal_encoder.encoder.layer"


@pytest.mark.parametrize("name", ["stam", "vtn"])
def test_the_published_networks_agree(comparison: Comparison, name: str) -> None:
    comparison.assert_agrees(name, checks=8)


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
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key, by=0.3)


def test_the_indices_of_frames_matter(comparison: Comparison) -> None:
    def shift(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["position_ids"] += 1

    assert comparison.run_changed("vtn", shift) == 1


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
def test_arguments_reach_the_network(comparison: Comparison, name: str, path: tuple[str, ...], value: Any) -> None:
    def change(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        *outer, last = path
        arguments = sidecar["constructor"]
        for key in outer:
            arguments = arguments[key]
        assert arguments[last] != value
        arguments[last] = value

    assert comparison.run_changed(name, change) == 1


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
def test_what_is_not_understood_is_told_apart(comparison: Comparison, name: str, edit: Edit, message: str) -> None:
    comparison.assert_refuses(name, edit, message)
