"""nnU-Net's preparation that was recorded agrees with ours, and what differs is found."""

from typing import Any

import pytest
from tests.parity.recorded import Comparison
from torch import Tensor


@pytest.mark.parametrize(
    ("name", "checks"),
    [("nnunet_norm_schemes", 8), ("nnunet_resample_default", 28), ("nnunet_preprocess_aniso_masked_regions", 17)],
)
def test_nnunets_preparation_agrees(comparison: Comparison, name: str, checks: int) -> None:
    comparison.assert_agrees(name, checks)


def test_other_numbers_and_labels_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        tensors["case_0.3d_fullres.data"].view(-1)[7] += 2e-4
        tensors["case_0.2d.exported"].view(-1)[0] += 1
        sidecar["preprocessed"]["case_1.3d_fullres"]["class_locations_counts"]["2"] += 1

    found = comparison.differing("nnunet_preprocess_aniso_masked_regions", falsify)
    assert found == ["case_0.3d_fullres:", "case_0.2d:", "case_1.3d_fullres:"]


@pytest.mark.parametrize("key", ["0.out", "1.out", "12.out"])
def test_another_resampling_is_found(comparison: Comparison, key: str) -> None:
    comparison.assert_notices("nnunet_resample_default", key, 1)
