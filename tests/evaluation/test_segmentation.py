import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from medvid.data.grid import Grid
from medvid.evaluation.evaluator import Evaluator
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import evaluate_case, make_evaluator, predict_case

HOST = make_host()

LABELS = ("background", "liver", "spleen", "left kidney", "gallbladder")
SPACING = (3.0, 0.8, 1.1)


def evaluator(size: tuple[int, ...] = (8, 8, 8), **options: object) -> Evaluator:
    axes = "volume" if len(size) == 3 else "image"
    info = InputInfo(axes=axes, channels=1, size=size)
    return make_evaluator(HOST, info, TargetInfo("voxel", "class", LABELS), **options)


@pytest.fixture
def truth() -> np.ndarray:
    """Liver, spleen and left kidney as boxes, no gallbladder, on an array (12, 20, 16)."""
    label_map = np.zeros((12, 20, 16), np.uint8)
    label_map[3:9, 4:12, 3:8] = 1
    label_map[4:8, 12:17, 9:13] = 2
    label_map[2:5, 4:8, 9:12] = 3
    return label_map


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_perfect_model_scores_perfectly_on_a_turned_and_cropped_grid(
    truth, make_case, grids, one_hot, tmp_path, dtype
):
    case = make_case("case_1", truth, grids["turned"](truth.shape, SPACING, margin=2))
    scoring = evaluator(figures=0)
    rows = evaluate_case(scoring, one_hot(5, dtype), case, final=True, folder=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "predictions" / "case_1.npy"), truth)
    assert [row["label"] for row in rows] == list(LABELS[1:])
    assert [row["state"] for row in rows] == ["scored", "scored", "scored", "absent"]
    assert [row["voxels_predicted"] for row in rows] == [240, 80, 36, 0]
    figures = scoring.scorer.summarise(rows).metrics
    assert (figures["dice"], figures["hd95_mm"], figures["surface_dice"]) == (1.0, 0.0, 1.0)
    assert math.isnan(figures["dice/gallbladder"])


def test_surfaces_are_measured_in_mm_on_the_grid_of_the_file(truth, make_case, grids, one_hot, tmp_path):
    shifted = np.roll(truth, 1, axis=0)  # one voxel of 3 mm
    case = make_case("case_1", truth, grids["turned"](truth.shape, SPACING, margin=2), seen=shifted)
    rows = evaluate_case(evaluator(figures=0), one_hot(5), case, final=True, folder=tmp_path)
    assert [row["hd95_mm"] for row in rows[:3]] == pytest.approx([3.0] * 3)
    assert rows[0]["dice"] == pytest.approx(5 / 6)


def test_during_training_only_dice_is_scored_and_nothing_is_written(truth, make_case, grids, one_hot, tmp_path):
    case = make_case("case_1", truth, grids["identity"](truth.shape, SPACING))
    scoring = evaluator()
    rows = evaluate_case(scoring, one_hot(5), case, final=False, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not {"hd95_mm", "surface_dice"} & rows[0].keys()
    metrics = scoring.scorer.summarise(rows).metrics
    assert metrics[scoring.scorer.monitor] == 1.0
    assert metrics.keys() == {"dice", *(f"dice/{label}" for label in LABELS[1:])}


def test_protocols_differ_in_grid_and_in_absent_organs(truth, make_case, grids, one_hot, tmp_path):
    grid = grids["turned"](truth.shape, SPACING, margin=3)  # cuts off part of the left kidney
    case = make_case("case_1", truth, grid)
    by_protocol = {}
    for protocol in ("medvid", "unetr"):
        scoring = evaluator(protocol=protocol, figures=0)
        rows = evaluate_case(scoring, one_hot(5), case, final=True, folder=tmp_path / protocol)
        by_protocol[protocol] = scoring.scorer.summarise(rows).metrics
        written = np.load(tmp_path / protocol / "predictions" / "case_1.npy")
        assert written.shape == truth.shape
        np.testing.assert_array_equal(written[3:-3, 3:-3, 3:-3], truth[3:-3, 3:-3, 3:-3])
    assert by_protocol["unetr"]["dice/left kidney"] == 1.0
    assert by_protocol["medvid"]["dice/left kidney"] < 1.0
    assert by_protocol["unetr"]["dice/gallbladder"] == 0.0
    assert by_protocol["unetr"]["dice"] == pytest.approx(3 / 4)


def test_a_resampled_grid_agrees_with_interpolating_the_probabilities_at_once(make_case, one_hot, tmp_path):
    generator = np.random.default_rng(0)
    grid = Grid((18, 14, 10), (0.8, 0.8, 3.0), (9, 7, 15), (1.6, 1.6, 2.0), (0, 1, 2),
                (0.5, 0.5, 1.5), (0.1, -0.2, 0.3))  # fmt: skip
    prepared = generator.integers(0, 5, (3, 3, 5)).repeat(3, 0).repeat(3, 1).repeat(3, 2)[:, :7]
    lines = [grid.scale[p] * np.arange(grid.native_shape[p]) + grid.offset[p] for p in range(3)]
    coordinates = np.stack(np.meshgrid(*lines, indexing="ij"))
    scores = np.stack([map_coordinates((prepared == k) * 1.0, coordinates, order=1, mode="nearest") for k in range(5)])
    clear = np.ptp(np.sort(scores, axis=0)[-2:], axis=0) > 1e-5
    case = make_case("case_1", scores.argmax(axis=0).astype(np.uint8), grid)
    case = type(case)(**{**vars(case), "prepared": prepared})
    [path] = predict_case(evaluator(figures=0), one_hot(5), case, tmp_path / "out").files
    inside = np.stack([(c >= -0.5) & (c <= n - 0.5) for c, n in zip(coordinates, prepared.shape, strict=True)]).all(0)
    expected = np.where(inside, scores.argmax(axis=0), 0)
    np.testing.assert_array_equal(np.load(path)[clear], expected[clear])


def test_empty_masks_are_counted_and_their_labels_named(truth, make_case, grids, one_hot, tmp_path):
    grid = grids["identity"](truth.shape, SPACING)
    seen = truth.copy()
    seen[truth == 2] = 0  # spleen missed
    seen[0, 0, 0] = 4  # gallbladder invented
    scoring = evaluator(figures=0)
    rows = [
        row
        for case in (make_case("a", truth, grid), make_case("b", truth, grid, seen=seen))
        for row in evaluate_case(scoring, one_hot(5), case, final=True, folder=tmp_path)
    ]
    assert [row["state"] for row in rows[4:]] == ["scored", "missed", "scored", "false positive"]
    summary = scoring.scorer.summarise(rows)
    assert summary.metrics["dice/spleen"] == pytest.approx(0.5)
    assert summary.metrics["hd95_mm/spleen"] == 0.0
    assert summary.metrics["dice/gallbladder"] == 0.0  # absent in case a, false positive in case b
    assert math.isnan(summary.metrics["hd95_mm/gallbladder"])
    assert summary.metrics["dice"] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    notes = "\n".join(summary.notes)
    for sentence in ("neither truth nor prediction: gallbladder 1", ": spleen 1", "undefined): gallbladder 1"):
        assert sentence in notes
    assert "directed 95th percentiles" in notes
    assert "tolerance is 2 mm" in notes


def test_nothing_to_score_is_nan_and_not_zero(make_case, grids, one_hot, tmp_path):
    empty = np.zeros((8, 8, 8), np.uint8)
    case = make_case("a", empty, grids["identity"](empty.shape, SPACING))
    scoring = evaluator()
    rows = evaluate_case(scoring, one_hot(5), case, final=True, folder=tmp_path)
    metrics = scoring.scorer.summarise(rows).metrics
    assert all(math.isnan(value) for value in metrics.values())
    assert len(scoring.scorer.figures((), tmp_path)) == 1


def test_pictures_are_drawn_from_the_worst_to_the_best_case(truth, make_case, grids, one_hot, tmp_path, texts):
    grid = grids["turned"](truth.shape, SPACING, margin=2)
    scoring, rows = evaluator(figures=2), []
    for shift, name in enumerate(["best", "middle", "../worst"]):
        case = make_case(name, truth, grid, seen=np.roll(truth, shift, axis=1))
        rows += evaluate_case(scoring, one_hot(5), case, final=True, folder=tmp_path)
    files = scoring.scorer.figures(rows, tmp_path)
    assert [path.name for path in files] == ["..%2Fworst.png", "best.png", "box_plots.png"]
    assert all(path.parent == tmp_path / "figures" and path.stat().st_size > 10_000 for path in files)
    worst, best = (text for text in texts if "mean Dice" in text)
    assert worst.endswith("(the lowest of 3 cases)")
    assert best == "best: mean Dice 1.000 (the highest of 3 cases)"
    assert any("gray scale -200 to 300" in text for text in texts)  # the window of the case


def test_predict_writes_label_map_and_picture(truth, make_case, grids, one_hot, tmp_path):
    case = make_case("scan", truth, grids["turned"](truth.shape, SPACING, margin=2))
    files = list(predict_case(evaluator(), one_hot(5), case, tmp_path / "out").files)
    assert files == [tmp_path / "out" / "scan.npy", tmp_path / "out" / "pictures" / "scan.png"]
    np.testing.assert_array_equal(np.load(files[0]), truth)


def test_images_are_segmented_too(truth, make_case, grids, one_hot, tmp_path):
    image = truth[4]
    case = make_case("image", image, grids["identity"](image.shape, (1.0, 1.0)))
    scoring = evaluator(size=(8, 8))
    rows = evaluate_case(scoring, one_hot(5), case, final=True, folder=tmp_path)
    assert scoring.scorer.summarise(rows).metrics["dice"] == 1.0
    assert len(scoring.scorer.figures((), tmp_path)) == 1


def test_pictures_name_nothing_but_the_case(truth, make_case, grids, one_hot, tmp_path):
    folder = tmp_path / "DOE_JANE"
    case = make_case("scan", truth, grids["identity"](truth.shape, SPACING))
    *_, picture = predict_case(evaluator(), one_hot(5), case, folder).files
    assert b"DOE_JANE" not in picture.read_bytes()
