"""The named protocols give the figures of the published scoring codes, from the model's output on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

from medvid.data.grid import Grid
from medvid.errors import ConfigError
from medvid.evaluation.evaluator import Evaluator
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import evaluate_case, make_evaluator, predict_case
from medvid_medt.config import MedTProtocolOptions

HOST = make_host()

FIXTURE = Path(__file__).parent / "fixtures" / "med_metrics"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return load_file(f"{FIXTURE}.safetensors")


@pytest.fixture(scope="module")
def published() -> dict[str, object]:
    return json.loads(FIXTURE.with_suffix(".json").read_text())


def evaluator(protocol: object, size: tuple[int, int], labels: int, **options: object) -> Evaluator:
    info = InputInfo(axes="image", channels=1, size=size)
    target = TargetInfo("voxel", "class", ("background", *(f"label {i}" for i in range(1, labels))))
    return make_evaluator(HOST, info, target, protocol=protocol, figures=0, **options)


class Logits(nn.Module):
    """Takes its input for logits."""

    def forward(self, input: Tensor) -> Tensor:
        return input


def logits_case(
    make_case: Callable, grid: Grid, id: str, logits: np.ndarray, truth: np.ndarray, truth_prepared: np.ndarray
):
    """A case whose prepared input is what the model is to answer."""
    case = make_case(id, truth, grid)

    class Case(type(case)):
        def input(self) -> Tensor:
            return torch.from_numpy(logits)

    return Case(**{**vars(case), "truth_prepared": truth_prepared})


def test_transunet_scores_volumes_of_slices_as_published(arrays, published, make_case, grids, one_hot, tmp_path):
    prediction, truth = arrays["pred3d"], arrays["gt3d"]
    grid = grids["identity"](truth.shape, (0.7, 0.7, 5.0))  # a spacing that must not matter
    scoring = evaluator("transunet", truth.shape[:2], 7)
    rows = evaluate_case(scoring, one_hot(7), make_case("a", truth, grid, seen=prediction), final=True, folder=tmp_path)
    expected = np.array([published["transunet_percase_dice_hd95"][str(label)] for label in range(1, 7)])
    np.testing.assert_allclose([[row["dice"], row["hd95_voxel"]] for row in rows], expected, rtol=1e-9)
    figures = scoring.scorer.summarise(rows).metrics
    assert figures["dice"] == pytest.approx(expected[:, 0].mean())
    assert figures["hd95_voxel"] == pytest.approx(expected[:, 1].mean())
    np.testing.assert_array_equal(np.load(tmp_path / "predictions" / "a.npy"), prediction)


def test_transunet_averages_over_cases_and_then_labels(arrays, make_case, grids, one_hot, tmp_path):
    truth = arrays["gt3d"]
    grid = grids["identity"](truth.shape, (1.0, 1.0, 1.0))
    empty = np.zeros_like(truth)
    scoring = evaluator("transunet", truth.shape[:2], 7)
    rows = [
        row
        for case in (make_case("a", truth, grid), make_case("b", empty, grid, seen=truth))
        for row in evaluate_case(scoring, one_hot(7), case, final=True, folder=tmp_path)
    ]
    # Labels 1, 2, 3 and 5: right in case a, invented in case b, which scores 1 as well; 4 and 6 are in neither.
    assert [row["dice"] for row in rows] == [1.0, 1.0, 1.0, 0.0, 1.0, 0.0] * 2
    summary = scoring.scorer.summarise(rows)
    assert summary.metrics["dice"] == pytest.approx(4 / 6)
    assert any("predicted but not in the truth (Dice 1, HD95 0): label 1 1" in note for note in summary.notes)


def test_medt_scores_images_as_published(arrays, published, make_case, grids, tmp_path):
    grid = grids["identity"]((32, 32), (1.0, 1.0))
    scoring = evaluator("medt", (32, 32), 2)
    rows = []
    for number, (logits, truth) in enumerate(zip(arrays["medt_logits"], arrays["medt_gt"], strict=True)):
        case = logits_case(make_case, grid, f"{number}", logits, truth, truth)
        rows += evaluate_case(scoring, Logits(), case, final=True, folder=tmp_path)
        np.testing.assert_array_equal(np.load(tmp_path / "predictions" / f"{number}.npy"), arrays["medt_pred"][number])
    figures = [[row["dice"], row["iou"]] for row in rows]
    np.testing.assert_allclose(figures, published["medt_matlab_f1_iou_per_image"], rtol=1e-9)
    summary = scoring.scorer.summarise(rows).metrics
    np.testing.assert_allclose([summary["dice"], summary["iou"]], published["medt_matlab_mean"], rtol=1e-9)
    assert not any("hd95" in name for name in summary)


def test_medt_scores_at_the_size_of_the_model_and_writes_at_that_of_the_file(make_case, tmp_path):
    grid = Grid((64, 48), (1.0, 1.0), (32, 24), (2.0, 2.0), (0, 1), (0.5, 0.5), (-0.25, -0.25))
    logits = np.full((2, 32, 24), 0.4, np.float32)
    logits[0], logits[1, 8:16, 4:20] = 9.0, 0.6  # above the threshold, however likely the background is
    truth = np.zeros((64, 48), np.uint8)
    truth[16:32, 8:40] = 1
    half = truth[::2, ::2]
    case = logits_case(make_case, grid, "a", logits, truth, truth_prepared=half)
    [row] = evaluate_case(evaluator("medt", (32, 24), 2), Logits(), case, final=True, folder=tmp_path)
    assert (row["dice"], row["iou"], row["voxels_true"]) == (1.0, 1.0, 8 * 16)
    written = np.load(tmp_path / "predictions" / "a.npy")
    assert written.shape == (64, 48)
    assert (written != truth).mean() < 0.03


@pytest.mark.parametrize("protocol", ["medt", "transunet"])
def test_weights_are_not_chosen_for_finding_nothing(make_case, grids, one_hot, tmp_path, protocol):
    truth = np.zeros((16, 16), np.uint8)
    truth[4:9, 4:9] = 1
    grid = grids["identity"](truth.shape, (1.0, 1.0))
    scoring = evaluator(protocol, (16, 16), 2)
    dice = [
        evaluate_case(scoring, one_hot(2), make_case("a", truth, grid, seen=seen), final=False, folder=tmp_path)[0][
            "dice"
        ]
        for seen in (np.zeros_like(truth), truth)
    ]
    assert dice == [0.0, 1.0]


def test_medt_knows_two_labels_only():
    seven = TargetInfo("voxel", "class", tuple("abcdefg"))
    with pytest.raises(ValueError, match=r"a foreground and the background only.*7 labels"):
        MedTProtocolOptions(name="medt").check_target(seven)


def test_distances_have_the_unit_of_the_data(make_case, grids, one_hot, tmp_path):
    truth = np.zeros((20, 20), np.uint8)
    truth[5:12, 5:12] = 1
    case = make_case("a", truth, grids["identity"]((20, 20), (1.0, 1.0)), seen=np.roll(truth, 3, axis=1))
    scoring = evaluator("medvid", (20, 20), 2)
    rows = evaluate_case(scoring, one_hot(2), case, final=True, folder=tmp_path)
    assert rows[0]["hd95_px"] == 3.0
    assert any("the tolerance is 2 px" in note for note in scoring.scorer.summarise(rows).notes)


@pytest.mark.parametrize("name", ["medvid", "unetr"])
def test_the_tolerance_is_an_option_of_the_protocols_that_have_one(name):
    scoring = evaluator({"name": name, "tolerance": 3}, (20, 20), 2)
    rows = [
        {"case": "a", "label": "b", "label_id": 1, "state": "scored", "dice": 1.0, "hd95_px": 0.0, "surface_dice": 1.0}
    ]
    assert any("the tolerance is 3 px" in note for note in scoring.scorer.summarise(rows).notes)
    with pytest.raises(ConfigError, match="unknown key"):
        evaluator({"name": "transunet", "tolerance": 3}, (20, 20), 2)


def test_a_protocol_of_cases_is_refused_for_voxels():
    with pytest.raises(ConfigError, match="should be a protocol with 'voxel' among its where; timesformer has 'case'"):
        evaluator("timesformer", (20, 20), 2)


def test_a_model_of_images_labels_a_volume_slice_by_slice(make_case, grids, tmp_path):
    volume = np.random.default_rng(0).random((12, 10, 11)).astype(np.float32)
    model = nn.Conv2d(1, 3, 3, padding=1)
    sizes: list[int] = []
    model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    truth = np.zeros(volume.shape, np.uint8)
    case = make_case("a", truth, grids["identity"](volume.shape, (1.0, 1.0, 1.0)))
    case = type(case)(**{**vars(case), "prepared": volume})
    predict_case(evaluator("medvid", (12, 10), 3, window_batch=4), model, case, tmp_path)
    assert sizes == [4, 4, 3]
    with torch.no_grad():
        expected = model(torch.from_numpy(volume).permute(2, 0, 1)[:, None]).argmax(dim=1)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected.permute(1, 2, 0))
