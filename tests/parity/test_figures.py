"""Recorded figures of cases, clips and frames are met, and a wrong one is found."""

from pathlib import Path
from typing import Any

import pytest
from tests.parity.recorded import Comparison
from torch import Tensor


@pytest.mark.parametrize(
    ("name", "cases"), [("classification", 19), ("multilabel_video", 4), ("regression", 8), ("phases", 15)]
)
def test_recorded_figures_agree(comparison: Comparison, name: str, cases: int) -> None:
    comparison.assert_agrees(name, cases)


@pytest.mark.parametrize(
    ("name", "case", "figure", "by"),
    [
        ("classification", "binary_plain", "brier", 1e-9),
        ("classification", "multiclass_plain", "auroc_macro.torchmetrics", 1e-5),
        ("regression", "one_case", "mae", 1e-7),
        ("phases", "segmental", "edit_mean", 1e-6),
    ],
)
def test_a_wrong_figure_is_found(comparison: Comparison, name: str, case: str, figure: str, by: float) -> None:
    def falsify(_: dict[str, Tensor], content: dict[str, Any]) -> None:
        content["cases"][case]["expected"][figure] += by

    assert comparison.differing(name, falsify) == [f"{case}:"]


def test_a_figure_that_is_undefined_is_not_any_number(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], content: dict[str, Any]) -> None:
        content["cases"]["binary_all_negative"]["expected"]["auroc.sklearn"] = 0.0
        content["cases"]["binary_plain"]["expected"]["auroc.sklearn"] = None

    assert comparison.differing("classification", falsify) == ["binary_plain:", "binary_all_negative:"]


def test_finite_scores_are_not_refused(comparison: Comparison) -> None:
    def repair(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["nan_prediction.prediction"].nan_to_num_()

    comparison.assert_refuses("regression", repair, "0 rules compute 'sklearn'")


@pytest.mark.parametrize("where", ["figure", "inputs"])
def test_what_nothing_computes_is_told_apart(comparison: Comparison, where: str) -> None:
    def add(tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
        case = content["cases"]["plain"]
        if where == "figure":
            case["expected"]["mase"] = 1.0
        else:
            tensors["plain.weight"] = tensors["plain.truth"].clone()

    message = "0 rules compute 'mase'" if where == "figure" else "plain: nothing compares prediction, truth, weight"
    comparison.assert_refuses("regression", add, message)


def test_the_command_takes_the_json(comparison: Comparison) -> None:
    assert comparison.verify([str(Path(__file__).parent / "fixtures" / "regression.json")]) == 0
