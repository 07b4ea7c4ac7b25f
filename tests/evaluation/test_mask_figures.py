"""What holds of figures of masks, whatever the masks."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.utils import create_table_neighbour_code_to_contour_length as monai_lengths
from monai.metrics.utils import create_table_neighbour_code_to_surface_area as monai_areas

from medvid.config.evaluation import MedvidProtocolOptions
from medvid.evaluation.mask_figures import CENTRE_LINE, INSTANCES, LESIONS, VOLUME, Masks, by_surfels
from medvid.evaluation.metrics import lesions, masks, surface_means, surfels
from medvid.evaluation.metrics.components import bounding_box, components
from medvid.evaluation.protocols import LabelMapProtocol, medvid_protocol
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of
from medvid.testing.toy import ToyCase

SHAPE, SPACING = (8, 7, 6), (1.0, 1.5, 2.5)
LABELS = ("background", "one", "two", "three")
SEEDS = st.integers(0, 2**32 - 1)
CHECKED = settings(max_examples=25, deadline=None)


def two_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    prediction, truth = (random.random(SHAPE) < random.random() for _ in range(2))
    return prediction, truth


def border_distances(prediction: np.ndarray, truth: np.ndarray, scale: float = 1) -> surface_means.Distances:
    spacing = [scale * length for length in SPACING]
    points = [masks.surface_points(mask.astype(np.uint8), 2, spacing)[0] for mask in (prediction, truth)]
    return masks.surface_distances(*points)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.9, 3.3)])
def test_surfels_have_the_areas_of_monai(spacing: tuple[float, ...]) -> None:
    areas, _ = monai_areas(spacing)
    np.testing.assert_allclose(surfels.area_table(spacing), areas, rtol=1e-6)
    lengths, _ = monai_lengths(spacing[:2])
    np.testing.assert_allclose(surfels.area_table(spacing[:2]), lengths, rtol=1e-12)


def test_the_surfels_of_a_box_have_its_area_less_what_edges_and_corners_cut() -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[2:6, 2:6, 2:6] = True
    [surface, _] = surfels.surfel_distances(mask, mask, (1, 1, 1))
    faces, edges, corners = 6 * 3**2, 12 * 3 * math.sqrt(0.5), 8 * math.sqrt(3) / 8
    assert surface.areas.sum() == pytest.approx(faces + edges + corners)


@CHECKED
@given(SEEDS)
def test_what_is_symmetric_is(seed: int) -> None:
    prediction, truth = two_masks(seed)
    there, back = (
        {
            "hd95": surfels.hausdorff(surfels.surfel_distances(*pair, SPACING)),
            "surface dice": surfels.surface_dice(surfels.surfel_distances(*pair, SPACING), 1.0),
            "assd": surface_means.assd(border_distances(*pair)),
            "masd": surface_means.masd(border_distances(*pair)),
            "similarity": VOLUME.of(Masks(*pair, SPACING, "mm"))["volumetric_similarity"],
            **{key: INSTANCES.of(Masks(*pair, SPACING, "mm"))[key] for key in ("pq", "sq", "rq", "instance_ap")},
        }
        for pair in ((prediction, truth), (truth, prediction))
    )
    assert there == pytest.approx(back, nan_ok=True)


@CHECKED
@given(SEEDS, st.sampled_from([0.25, 2.0, 3.0]))
def test_distances_grow_with_the_spacing_and_fractions_do_not(seed: int, scale: float) -> None:
    pair = two_masks(seed)
    small, large = (surfels.surfel_distances(*pair, [factor * length for length in SPACING]) for factor in (1.0, scale))
    assert surfels.hausdorff(large) == pytest.approx(scale * surfels.hausdorff(small))
    assert large[0].mean() == pytest.approx(scale * small[0].mean(), nan_ok=True)
    assert surfels.surface_dice(large, scale * 1.5) == pytest.approx(surfels.surface_dice(small, 1.5), nan_ok=True)
    grown = surface_means.assd(border_distances(*pair, scale))
    assert grown == pytest.approx(scale * surface_means.assd(border_distances(*pair)), nan_ok=True)


@CHECKED
@given(SEEDS, st.integers(0, 3))
def test_empty_space_around_changes_no_lesion(seed: int, dilation: int) -> None:
    around = [np.pad(mask, 4) for mask in two_masks(seed)]
    near, far = (
        lesions.score_lesions(*(np.pad(mask, width) for mask in around), SPACING, dilation=dilation, least_volume=5)
        for width in (0, 3)
    )
    assert near == far


def test_right_lesions_have_the_best_figures_and_all_wrong_ones_the_worst() -> None:
    truth = np.zeros((20, 20, 20), bool)
    truth[2:6, 2:6, 2:6] = truth[14:17, 14:17, 14:17] = True
    right = lesions.score_lesions(truth, truth, (1, 1, 1), dilation=1, least_volume=2)
    assert (right.dice, right.hd95, right.true_positives, right.false_positives) == (1.0, 0.0, 2, 0)
    wrong = lesions.score_lesions(np.roll(truth, 9, axis=0) & ~truth, truth, (1, 1, 1), dilation=1, least_volume=30)
    assert (len(wrong.kept), wrong.false_negatives) == (1, 1)
    assert (wrong.dice, wrong.hd95) == (0.0, lesions.WORST_HD95)


@CHECKED
@given(SEEDS)
def test_a_bounding_box_holds_all_and_touches_all_sides(seed: int) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < 0.02
    box = bounding_box(mask)
    assert mask[box].sum() == mask.sum()
    if mask.any():
        assert all(mask[box].take(index, axis).any() for axis in range(3) for index in (0, -1))
    assert components(mask).max() == components(mask[box]).max()


def rows(prediction: np.ndarray, truth: np.ndarray, **options: object) -> dict[str, dict[str, float]]:
    info = TargetInfo("voxel", "class", LABELS)
    protocol = medvid_protocol(MedvidProtocolOptions.model_validate({"name": "medvid", **options}), info)
    assert isinstance(protocol, LabelMapProtocol)
    case = Case("a", torch.zeros(1, *truth.shape), torch.from_numpy(truth), "volume")
    return {row["label"]: row for row in protocol.rows(case, prediction.astype(np.uint8), LABELS, final=True)}


class Case(ToyCase):
    """Its truth has a sign, as some of it may be unknown."""

    def native_truth(self) -> np.ndarray:
        return self.target.numpy()


def label_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(4, size=SHAPE), random.integers(4, size=SHAPE)


def test_regions_are_scored_in_place_of_labels() -> None:
    prediction, truth = label_maps(0)
    found = rows(prediction, truth, regions={"whole": [1, 2, 3], "core": [1, 3]}, further=["volume"])
    assert list(found) == ["whole", "core"]
    both = np.isin(prediction, [1, 3]), np.isin(truth, [1, 3])
    assert found["core"]["dice"] == 2 * (both[0] & both[1]).sum() / (both[0].sum() + both[1].sum())
    assert found["core"]["label_id"] == 2
    assert found["core"]["volume_error_ml"] == pytest.approx((both[0].sum() - both[1].sum()) / 1000)


def test_a_label_that_nobody_drew_has_no_figures_and_what_was_drawn_counts_beside_it() -> None:
    prediction, truth = label_maps(1)
    partial = np.where(np.isin(truth, [1, 3]), truth, none_of([1, 3]))
    found = rows(prediction, partial, further=["lesions"])
    assert found["two"]["state"] == "unknown"
    assert math.isnan(found["two"]["dice"])
    assert math.isnan(found["two"]["lesion_f1"])
    whole = rows(prediction, truth, further=["lesions"])
    for label in ("one", "three"):
        assert found[label] == whole[label] | {"voxels_unknown": 0}
    assert rows(prediction, partial, regions={"some": [1, 2]})["some"]["state"] == "unknown"
    assert rows(prediction, partial, regions={"drawn": [1, 3]})["drawn"]["state"] == "scored"


@CHECKED
@given(SEEDS)
def test_what_is_predicted_where_nothing_is_known_changes_nothing(seed: int) -> None:
    prediction, truth = label_maps(seed)
    random = np.random.default_rng(seed)
    truth[random.random(SHAPE) < random.random()] = UNKNOWN
    other = np.where(truth == UNKNOWN, random.integers(4, size=SHAPE), prediction)
    options = {
        "further": ["volume", "average_distance", "surfels", "lesions", "instances"],
        "regions": {"whole": [1, 2, 3], "core": [3]},
    }
    np.testing.assert_equal(rows(other, truth, **options), rows(prediction, truth, **options))


def test_a_region_of_a_label_that_does_not_exist_is_refused() -> None:
    options = MedvidProtocolOptions.model_validate({"name": "medvid", "regions": {"whole": [1, 4]}})
    with pytest.raises(ValueError, match=r"regions\.whole has the label 4, but the labels are 0 background, 1 one"):
        options.check_target(TargetInfo("voxel", "class", LABELS))
    of_cases = MedvidProtocolOptions.model_validate({"name": "medvid", "further": ["volume"]})
    with pytest.raises(ValueError, match="further is of label maps"):
        of_cases.check_target(TargetInfo("case", "class", LABELS))


@pytest.mark.skipif(find_spec("skimage") is not None, reason="scikit-image is installed")
def test_centre_lines_are_refused_before_anything_starts_where_nothing_finds_them() -> None:
    options = MedvidProtocolOptions.model_validate({"name": "medvid", "further": ["centre_line"]})
    with pytest.raises(ValueError, match=r"centre_line needs scikit-image: pip install"):
        options.check_target(TargetInfo("voxel", "class", LABELS))


@pytest.mark.skipif(find_spec("skimage") is None, reason="scikit-image finds centre lines")
def test_the_centre_line_of_a_tube_is_inside_of_a_thicker_one() -> None:
    thin, thick = np.zeros((2, 20, 12, 12), bool)
    thin[2:18, 4:7, 4:7] = thick[1:19, 3:8, 3:8] = True
    assert CENTRE_LINE.row(Masks(thin, thick, (1, 1, 1), "mm")) == {"cldice": 1.0}


def test_figures_of_nothing_are_not_defined() -> None:
    empty = Masks(np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), SPACING, "mm")
    surfaces = by_surfels(1.0).row(empty)
    assert list(surfaces) == ["hd95_surfels_mm", "surface_dice_surfels"]
    assert all(math.isnan(value) for value in [*surfaces.values(), *INSTANCES.row(empty).values()])
    assert VOLUME.row(empty)["volume_error_ml"] == 0.0
    assert LESIONS.row(empty) == {"lesion_f1": 1.0, "lesions_true": 0.0, "lesions_predicted": 0.0}
