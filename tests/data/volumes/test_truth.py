import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.truth import paint, truth_of
from medvid.plugin.info import UNKNOWN

REGIONS = LabelScheme(("whole", "core", "enhancing"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3))
label_maps = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=3), elements=st.integers(0, 3))


@given(label_maps)
def test_nested_regions_are_painted_back(label_map: np.ndarray) -> None:
    masks = truth_of(label_map, REGIONS)
    assert masks.dtype == np.uint8
    np.testing.assert_array_equal(masks, [label_map >= 1, label_map >= 2, label_map == 3])
    np.testing.assert_array_equal(paint(masks, REGIONS.painted), label_map)


@given(label_maps)
def test_what_is_ignored_is_unknown_in_classes_and_in_all_regions(label_map: np.ndarray) -> None:
    ignored = label_map == 3
    classes = truth_of(label_map, LabelScheme(("background", "a", "b"), ignore=3))
    assert classes.dtype == np.int16
    np.testing.assert_array_equal(classes, np.where(ignored, UNKNOWN, label_map.astype(int)))
    masks = truth_of(label_map, LabelScheme(("any", "b"), ((1, 2), (2,)), ignore=3))
    assert masks.dtype == np.int8
    for mask, inside in zip(masks, (label_map > 0, label_map == 2), strict=True):
        np.testing.assert_array_equal(mask, np.where(ignored, UNKNOWN, inside))


def test_classes_are_their_ids() -> None:
    label_map = np.arange(3, dtype=np.uint8)
    assert truth_of(label_map, LabelScheme(("background", "a", "b"))) is label_map


def test_later_regions_are_painted_over_earlier_ones() -> None:
    masks = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], np.uint8)
    assert paint(masks, (2, 1)).tolist() == [2, 1, 1, 0]
