"""Recorded figures of masks and label maps are met, and a wrong one is found."""

from typing import Any

from tests.parity.recorded import Comparison
from torch import Tensor


def test_recorded_figures_of_masks_agree(comparison: Comparison) -> None:
    comparison.assert_agrees("segmentation", 26)


def test_nnunets_summary_agrees(comparison: Comparison) -> None:
    comparison.assert_agrees("nnunet_metrics_summary", 3)


def test_a_wrong_figure_of_a_region_is_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], content: dict[str, Any]) -> None:
        content["cases"] = {name: content["cases"][name] for name in ("regions", "brats2023_glioma")}
        content["cases"]["brats2023_glioma"]["expected"]["regions"]["TC"]["lesionwise_dice"] += 1e-7

    assert comparison.differing("segmentation", falsify) == ["brats2023_glioma:"]


def test_another_count_of_a_summary_is_found(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], content: dict[str, Any]) -> None:
        content["results"]["regions_ignore_4"]["per_case"][1]["3"]["FN"] += 1

    assert comparison.differing("nnunet_metrics_summary", falsify) == ["regions_ignore_4:"]
