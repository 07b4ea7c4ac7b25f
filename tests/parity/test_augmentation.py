"""Changes of examples, and where patches lie, are nnU-Net's; what differs is found."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.parity.recorded import FIXTURES, Comparison
from torch import Tensor

Main = Callable[[Sequence[str]], int]


def fewer(sidecar: dict[str, Any]) -> None:
    """Fewer draws than the 20 000 of the fixture, which take seconds."""
    for result in sidecar["results"].values():
        result["n"] = 1000


def test_published_effects_agree(verify: Main) -> None:
    assert verify([str(FIXTURES / "nnunet_augment_effects.json")]) == 0


def test_published_patches_agree(comparison: Comparison) -> None:
    assert comparison.run_changed("nnunet_patch_sampling_corners", lambda _, sidecar: fewer(sidecar)) == 0


def test_other_effects_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["blur"] += 1e-3
        tensors["spatial.rotate.segmentation"][0, :2] += 1

    assert comparison.differing("nnunet_augment_effects", falsify) == ["blur", "spatial.rotate:"]


def test_other_places_are_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        fewer(sidecar)
        sidecar["results"]["free"]["lower_corner_min"][0] -= 1
        sidecar["forced_elements_of_a_batch"]["2"] = [True, True]

    assert comparison.differing("nnunet_patch_sampling_corners", falsify) == ["free:", "forced"]
