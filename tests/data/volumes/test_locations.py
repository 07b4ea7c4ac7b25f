import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.locations import locate

CLASSES = LabelScheme(("background", "one", "two", "three"))
REGIONS = LabelScheme(("whole", "core"), ((1, 2), (2,)), ignore=3)


def label_map(shape: tuple[int, ...] = (30, 30, 30)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)


def test_each_structure_that_occurs_is_located() -> None:
    label = label_map()
    found = locate(label, CLASSES)
    assert [*found.structures] == ["one", "two"]
    assert found.annotated is None
    for number, indices in enumerate(found.structures.values(), start=1):
        np.testing.assert_array_equal(np.sort(indices), np.flatnonzero(label == number))
        assert indices.dtype == np.uint32
        assert (np.diff(indices.astype(int)) < 0).any()  # in random order


def test_regions_overlap_and_ignored_voxels_are_not_annotated() -> None:
    label = label_map((12, 11, 10))
    label[:4] = 3
    found = locate(label, REGIONS)
    for indices, expected in (
        (found.structures["whole"], (label == 1) | (label == 2)),
        (found.structures["core"], label == 2),
        (found.annotated, label != 3),
    ):
        np.testing.assert_array_equal(np.sort(indices), np.flatnonzero(expected))


@pytest.mark.parametrize(("voxels", "kept"), [(9_999, 9_999), (10_001, 10_000), (1_000_001, 10_001)])
def test_of_large_structures_a_part_is_kept(voxels: int, kept: int) -> None:
    label = np.zeros(voxels + 7, np.uint8)
    label[7:] = 1
    indices = locate(label, CLASSES).structures["one"]
    assert len(np.unique(indices)) == kept
    assert indices.min() >= 7


@given(st.integers(0, 2**31 - 1))
def test_the_same_map_gives_the_same_voxels(seed: int) -> None:
    label = np.random.default_rng(seed).integers(0, 4, (5, 4, 3), dtype=np.uint8)
    one, other = (locate(label, CLASSES).structures for _ in range(2))
    assert [*one] == [CLASSES.names[number] for number in np.unique(label) if number]
    for name, indices in one.items():
        np.testing.assert_array_equal(indices, other[name])
