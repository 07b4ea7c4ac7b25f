import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medvid.data.volumes.steps.resampling import axis_apart, resample_image, resample_labels, resampled_shape

LENGTH = st.integers(1, 9)
SHAPE = st.tuples(LENGTH, LENGTH, LENGTH)
SEED = st.integers(0, 2**32 - 1)


def zoomed(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    factors = np.divide(shape, array.shape)
    return ndimage.zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True)


@given(SHAPE, SHAPE, st.integers(0, 5), SEED)
def test_intensities_are_scipys_clipped(old: tuple[int, ...], new: tuple[int, ...], order: int, seed: int) -> None:
    image = np.random.default_rng(seed).normal(100, 30, (2, *old)).astype(np.float32)
    ours = resample_image(image, new, order)
    assert ours.dtype == np.float32
    for channel, resampled in zip(image, ours, strict=True):
        expected = zoomed(channel, new, order).clip(channel.min(), channel.max())
        np.testing.assert_allclose(resampled, expected, atol=2e-5)


@pytest.mark.parametrize("axis", range(3))
def test_long_axes_are_scipys_too(axis: int) -> None:
    """Of which no weight spans the whole, and which are multiplied in several parts."""
    old, new = [5, 5, 5], [5, 5, 5]
    old[axis], new[axis] = 150, 131
    image = np.random.default_rng(0).normal(size=(1, *old)).astype(np.float32)
    np.testing.assert_allclose(
        resample_image(image, new, 3)[0], zoomed(image[0], tuple(new), 3).clip(image.min(), image.max()), atol=1e-6
    )


@given(SHAPE, SHAPE, st.sampled_from(range(3)), st.integers(0, 3), SEED)
def test_an_axis_apart_is_resampled_after_the_slices(old, new, apart: int, order_z: int, seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(1, *old)).astype(np.float32)
    within = tuple(length for axis, length in enumerate(new) if axis != apart)
    slices = [
        zoomed(one, within, 3).clip(one.min(), one.max()) for one in np.moveaxis(image[0].astype(float), apart, 0)
    ]
    expected = zoomed(np.stack(slices, axis=apart), new, order_z)
    np.testing.assert_allclose(resample_image(image, new, 3, order_z, apart)[0], expected, atol=1e-5)


@given(SHAPE, SHAPE, st.integers(2, 5), SEED)
def test_labels_have_the_largest_indicator(old, new, count: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(-1, count, old).astype(np.int16)
    ours, ids = resample_labels(labels, new), np.unique(labels)
    scores = np.stack([zoomed(labels == one, new, 1) for one in ids])
    of_ours = np.take_along_axis(scores, np.searchsorted(ids, ours)[None], axis=0)[0]
    np.testing.assert_allclose(of_ours, scores.max(axis=0), atol=1e-9)  # rounding may decide between equal ones
    assert ours.dtype == labels.dtype


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([2, 0, 0, 3], [0, 3]), ([1, 1, 3, 0], [1, 0]), ([[1, 2], [0, 0]], [[0]]), ([[0, 0], [2, 1]], [[0]])],
)
def test_of_equal_indicators_the_nearest_voxels_wins_else_the_lowest(labels: list, expected: list) -> None:
    """Half-way between two voxels, the later one is nearest, as scipy rounds."""
    given, wanted = np.array(labels, np.int16), np.array(expected, np.int16)
    np.testing.assert_array_equal(resample_labels(given, wanted.shape), wanted)


@given(SHAPE, SHAPE, SEED)
def test_labels_of_the_nearest_voxels(old, new, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, old).astype(np.uint8)
    np.testing.assert_array_equal(resample_labels(labels, new, order=0), zoomed(labels, new, 0))


@pytest.mark.parametrize(
    ("shape", "spacing", "target", "expected"),
    [
        ((5, 7, 9), (1, 1, 1), (2, 2, 2), (2, 4, 4)),  # halves to even
        ((100, 133, 97), (1.25, 0.7, 0.7), (1, 1, 1), (125, 93, 68)),
        ((1, 1, 1), (1, 1, 1), (9, 9, 9), (1, 1, 1)),
    ],
)
def test_the_number_of_voxels_is_rounded(shape, spacing, target, expected) -> None:
    assert resampled_shape(shape, spacing, target) == expected


@pytest.mark.parametrize(
    ("spacing", "target", "separate", "expected"),
    [
        ((3, 1, 1), (1, 1, 1), "auto", None),
        ((3.01, 1, 1), (1, 1, 1), "auto", 0),
        ((1, 1, 1), (1, 4, 1), "auto", 1),
        ((1, 2, 6.5), (9, 1, 1), "auto", 2),
        ((4, 4, 1), (1, 1, 1), "auto", None),  # two axes are the coarsest
        ((5, 1, 1), (1, 1, 1), False, None),
        ((1, 1, 1.1), (1, 1, 1), True, 2),
        ((1, 1, 1), (1, 1, 5), True, None),
    ],
)
def test_a_coarse_axis_is_resampled_apart(spacing, target, separate, expected) -> None:
    assert axis_apart(spacing, target, separate) == expected
