"""Changes of examples, and where patches lie, are nnU-Net's; what differs is found."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.parity.recorded import FIXTURES, Comparison
from torch import Tensor

Main = Callable[[Sequence[str]], int]


@pytest.mark.parametrize("name", ["nnunet_augment_effects", "nnunet_patch_sampling_corners"])
def test_published_examples_agree(verify: Main, name: str) -> None:
    assert verify([str(FIXTURES / f"{name}.json")]) == 0


def test_other_effects_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["blur"] += 1e-3
        tensors["spatial.rotate.segmentation"][0, :2] += 1

    assert comparison.differing("nnunet_augment_effects", falsify) == ["blur", "spatial.rotate:"]


def test_other_places_are_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["results"]["free"]["lower_corner_min"][0] -= 1
        sidecar["forced_elements_of_a_batch"]["2"] = [True, True]

    assert comparison.differing("nnunet_patch_sampling_corners", falsify) == ["free:", "forced"]
