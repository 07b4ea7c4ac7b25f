"""The losses of nnU-Net that were recorded agree with ours, and what differs is found."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison
from torch import Tensor


@pytest.mark.parametrize(
    ("name", "checks"),
    [("nnunet_loss_2d", 11), ("nnunet_ignore_2d", 8), ("nnunet_regions_2d", 8)],
)
def test_nnunets_losses_agree(comparison: Comparison, name: str, checks: int) -> None:
    comparison.assert_agrees(name, checks)


def test_other_losses_and_gradients_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["results"]["batch_dice_true"]["loss"] += 1e-4
        tensors["ignore_batch_dice_true.grad"].view(-1)[0] += 1e-5

    assert comparison.differing("nnunet_regions_2d", falsify) == ["batch_dice_true:", "ignore_batch_dice_true:"]
