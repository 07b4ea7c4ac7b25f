"""nnU-Net's rules of training and inference that were recorded agree with ours, and what differs is found."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.parity.recorded import FIXTURES, Comparison, sidecar
from torch import Tensor

Main = Callable[[Sequence[str]], int]


def test_sliding_windows_agree(comparison: Comparison) -> None:
    comparison.assert_agrees("nnunet_sliding_window", checks=12)


def test_other_windows_and_scores_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["starts"][0]["starts"][0][1] += 1
        tensors["gaussian.16x20"][0, 0] *= 20
        tensors["output_float32.mirror_true"].view(-1)[0] += 2e-4

    assert comparison.differing("nnunet_sliding_window", falsify) == ["starts", "gaussian.16x20", "output,"]


def test_rates_averages_and_folds_agree(verify: Main) -> None:
    assert verify([str(FIXTURES / "nnunet_schedule_rules.json")]) == 0


def test_other_rates_averages_and_folds_are_found(comparison: Comparison) -> None:
    content = sidecar("nnunet_schedule_rules")
    content["poly_lr"]["epochs_250"]["249"] += 1e-8
    content["ema_pseudo_dice"]["ema"][3] += 1e-8
    content["splits_val"]["n"]["7"].reverse()
    content["random_80_20"]["train"].reverse()
    assert comparison.run_written({}, content) == 1
    lines = [line for line in comparison.captured.readouterr().out.splitlines() if "DIFFERS" in line]
    assert [line.split()[0] for line in lines] == ["rates,", "rates,", "moving", "folds", "random"]


def test_largest_components_and_their_choice_agree(comparison: Comparison) -> None:
    comparison.assert_agrees("nnunet_post_largest_component", checks=17)


def test_other_components_and_choices_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        tensors["tie.foreground"].view(-1)[-1] ^= 1
        sidecar["chosen"] = [{"labels_or_regions": 2}]
        sidecar["after"]["mean"]["1"]["Dice"] += 1e-9

    assert comparison.differing("nnunet_post_largest_component", falsify) == ["tie.foreground", "steps:", "Dice"]


def test_means_of_models_and_folds_agree(comparison: Comparison) -> None:
    comparison.assert_agrees("nnunet_ensemble_mean", checks=10)


def test_other_means_and_label_maps_are_found(comparison: Comparison) -> None:
    def falsify(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        tensors["softmax.average"].view(-1)[0] += 1e-5
        tensors["regions.folds.segmentation"].view(-1)[0] ^= 1

    assert comparison.differing("nnunet_ensemble_mean", falsify) == ["softmax:", "regions:"]
