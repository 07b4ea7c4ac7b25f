import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, compute_hausdorff_distance, compute_surface_dice
from monai.metrics.utils import get_mask_edges
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from medvid.evaluation.metrics import masks as metrics
from medvid_unetr.protocol import dice as unetr_dice

LABELS = 5
SPACING = (0.8, 1.1, 3.0)
MONAI_WARNS = pytest.mark.filterwarnings("ignore:monai.metrics.utils:FutureWarning")  # of its own argument
FIXTURE = Path(__file__).parent / "fixtures" / "med_metrics"


def blobs(seed: int, shape: tuple[int, ...] = (24, 22, 14)) -> np.ndarray:
    """Smooth random regions, several per label and some cut by the border."""
    noise = np.random.default_rng(seed).normal(size=(LABELS, *shape))
    return np.stack([gaussian_filter(channel, 2) for channel in noise]).argmax(axis=0).astype(np.uint8)


def one_hot(label_map: np.ndarray, labels: int = LABELS) -> torch.Tensor:
    return functional.one_hot(torch.from_numpy(label_map).long(), labels).movedim(-1, 0)[None]


def distances(prediction: np.ndarray, truth: np.ndarray, spacing, labels: int = LABELS):
    pairs = zip(*(metrics.surface_points(maps, labels, spacing) for maps in (prediction, truth)), strict=True)
    return [metrics.surface_distances(predicted, true) for predicted, true in pairs]


@pytest.fixture(params=[((24, 22, 14), SPACING), ((40, 30), (0.5, 1.7))], ids=["3D", "2D"])
def pair(request):
    shape, spacing = request.param
    return blobs(1, shape), blobs(2, shape), spacing


def test_dice_equals_monai(pair):
    prediction, truth, _ = pair
    expected = DiceMetric(include_background=True, reduction="none")(one_hot(prediction), one_hot(truth))[0]
    scores = metrics.dice(metrics.confusion_matrix(prediction, truth, LABELS))
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@MONAI_WARNS
def test_hd95_equals_monai(pair):
    prediction, truth, spacing = pair
    expected = compute_hausdorff_distance(one_hot(prediction), one_hot(truth), percentile=95, spacing=spacing)[0]
    scores = [metrics.hd95(directed) for directed in distances(prediction, truth, spacing)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@MONAI_WARNS
@pytest.mark.parametrize("tolerance", [1.0, 2.4, 3.0])  # 2.4 is three times 0.8 but for rounding
def test_surface_dice_equals_monai(pair, tolerance):
    prediction, truth, spacing = pair
    thresholds = [tolerance] * (LABELS - 1)
    expected = compute_surface_dice(one_hot(prediction), one_hot(truth), thresholds, spacing=spacing)[0]
    scores = [metrics.surface_dice(directed, tolerance) for directed in distances(prediction, truth, spacing)]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_surface_voxels_are_monais_mask_edges(pair):
    _, truth, spacing = pair
    for label, points in enumerate(metrics.surface_points(truth, LABELS, spacing), start=1):
        edges = get_mask_edges(truth, truth, label_idx=label, crop=False)[0]
        np.testing.assert_allclose(points, np.argwhere(edges) * spacing)


def cube(start: int) -> np.ndarray:
    label_map = np.zeros((30, 20, 20), np.uint8)
    label_map[start : start + 10, 5:15, 5:15] = 1
    return label_map


def test_a_shifted_cube_in_closed_form():
    shift, width = 3, 0.5
    prediction, truth = cube(5 + shift), cube(5)
    confusion = metrics.confusion_matrix(prediction, truth, 2)
    assert confusion.tolist() == [[12000 - 1300, 300], [300, 700]]
    assert metrics.dice(confusion)[1] == pytest.approx(0.7)
    [directed] = distances(prediction, truth, (width, width, width), labels=2)
    assert [len(points) for points in directed] == [10**3 - 8**3] * 2
    # The 100 voxels of the leading face are the farthest from the other cube, and more than 5 % of the surface.
    assert metrics.hd95(directed) == pytest.approx(shift * width)
    assert metrics.surface_dice(directed, shift * width) == 1.0
    # More than one voxel off are the leading face (10 x 10), the ring of 36 next to it, and of the trailing face, which
    # lies inside the other cube, the 6 x 6 voxels in its middle.
    missed = 100 + 36 + 36
    assert metrics.surface_dice(directed, width) == pytest.approx(1 - missed / 488)


def test_empty_masks_follow_the_policy():
    full, empty = cube(5), np.zeros_like(cube(5))
    for prediction, truth, dice, surface_dice in [
        (empty, empty, np.nan, np.nan),
        (full, empty, 0.0, 0.0),
        (empty, full, 0.0, 0.0),
    ]:
        [directed] = distances(prediction, truth, (1, 1, 1), labels=2)
        np.testing.assert_equal(metrics.dice(metrics.confusion_matrix(prediction, truth, 2))[1], dice)
        np.testing.assert_equal(metrics.surface_dice(directed, 1e9), surface_dice)
        assert np.isnan(metrics.hd95(directed))


def test_figures_of_the_published_scoring_code():
    arrays, recorded = load_file(f"{FIXTURE}.safetensors"), json.loads(FIXTURE.with_suffix(".json").read_text())
    confusion = metrics.confusion_matrix(arrays["pred3d"], arrays["gt3d"], 7)
    published = recorded["unetr_testpy_dice"]
    np.testing.assert_allclose(unetr_dice(confusion)[1:], [published[str(label)] for label in range(1, 7)])
    # Ours differs from MONAI's where the truth is empty: MONAI leaves false positives (label 4) out.
    monai = np.array(recorded["monai_DiceMetric"]["per_class"], dtype=float)
    expected = np.where(np.arange(7) == 4, 0.0, monai)
    np.testing.assert_allclose(metrics.dice(confusion), expected, rtol=1e-6)


def test_a_label_out_of_range_is_not_counted_as_another():
    with pytest.raises(ValueError, match="broadcast"):
        metrics.confusion_matrix(np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8), 3)
