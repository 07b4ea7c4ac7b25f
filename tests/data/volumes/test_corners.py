"""Where patches lie that the classes decide about, as in nnU-Net."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.data.volumes.test_patches import PLAIN, case

from medvid.data.volumes.corners import corner_range, count_forced, draw_corner, forced_share, sets_of
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.locations import locate
from medvid.data.volumes.options import PatchOptions
from medvid.data.volumes.patches import draw_patches

LENGTHS = st.lists(st.integers(1, 40), min_size=3, max_size=3)


@given(LENGTHS, LENGTHS, LENGTHS, st.integers(0, 99))
def test_the_final_part_of_a_free_patch_lies_within_or_holds_the_volume(
    shape: list[int], size: list[int], margin: list[int], seed: int
) -> None:
    larger = [final + extra for final, extra in zip(size, margin, strict=True)]
    corner = draw_corner(shape, size, larger, [], np.random.RandomState(seed))
    lowest, highest = corner_range(shape, size, larger)
    for axis, start in enumerate(corner):
        assert lowest[axis] <= start <= highest[axis]
        begin = start + larger[axis] // 2 - size[axis] // 2
        if shape[axis] >= larger[axis] - margin[axis]:
            assert begin >= -1
            assert begin + size[axis] <= shape[axis] + 1  # halves of odd numbers
        else:
            assert begin <= 0
            assert begin + size[axis] >= shape[axis]


def test_classes_are_as_likely_as_each_other_however_large() -> None:
    label = np.zeros((20, 20, 20), np.uint8)
    label[:10], label[15, 15, 15] = 1, 2
    locations = locate(label, LabelScheme(("background", "large", "small")))
    random, sets = np.random.RandomState(0), sets_of(locations, is_forced=True)
    corners = [draw_corner(label.shape, (1, 1, 1), (1, 1, 1), sets, random) for _ in range(1000)]
    drawn = [int(label[corner]) for corner in corners]
    assert abs(drawn.count(2) - 500) < 70
    assert drawn.count(0) == 0


def test_the_share_is_kept_from_draw_to_draw_and_as_even_as_it_can_be() -> None:
    random = np.random.RandomState(0)
    counts = [count_forced(0.33, 4, random) for _ in range(2000)]
    assert set(counts) == {1, 2}
    assert abs(np.mean(counts) - 1.32) < 0.04
    assert {count_forced(0.5, 2, random) for _ in range(20)} == {1}
    assert [round(forced_share(batch) * batch) for batch in (1, 2, 3, 5, 9, 12)] == [0, 1, 1, 2, 3, 4]


def test_patches_about_a_class_hold_it_and_run_over_the_rim() -> None:
    prepared = case((20, 16, 12), labelled=slice(10, 12))
    prepared = replace(prepared, locations=locate(prepared.label, PLAIN))
    patch = PatchOptions(size=(8, 8, 8), per_case=20, centres="classes", forced=1.0)
    images, targets, _ = draw_patches(prepared, patch, np.random.RandomState(0), PLAIN)
    assert (targets[:, 4, 4, 4] == 1).all()
    assert (images[..., 6:] == 0).all()  # past the last of 12 slices
    assert (targets[..., 6:] == 0).all()


def test_a_case_without_classes_yields_patches_anywhere_and_one_with_ignore_where_it_is_annotated() -> None:
    patch = PatchOptions(size=(4, 4, 4), per_case=30, centres="classes", forced=0.5)
    empty = case(labelled=slice(0, 0))
    empty = replace(empty, locations=locate(empty.label, PLAIN))
    images, _, _ = draw_patches(empty, patch, np.random.RandomState(0), PLAIN)
    assert len({float(image.max()) for image in images}) > 20
    scheme, label = LabelScheme(("background", "block"), ignore=2), np.full((20, 16, 12), 2, np.uint8)
    label[3, 4, 5] = 0
    sparse = replace(empty, label=label, locations=locate(label, scheme))
    _, targets, _ = draw_patches(sparse, patch, np.random.RandomState(0), scheme)
    assert (targets[:, 2, 2, 2] == 0).all()
    assert (targets == 0).sum() == 30 + (targets.numel() - 30 * 64)


def test_a_larger_patch_has_the_patch_in_its_middle() -> None:
    prepared = case((20, 16, 6))
    patch = PatchOptions(size=(8, 8, 8), per_case=10)
    final, _, _ = draw_patches(prepared, patch, np.random.RandomState(1), PLAIN)
    larger, _, _ = draw_patches(prepared, patch, np.random.RandomState(1), PLAIN, (13, 12, 8))
    assert larger.shape[2:] == (13, 12, 8)
    np.testing.assert_array_equal(larger[:, :, 2:10, 2:10], final)
