import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medvid.data.volumes.steps.content import bounding_box, nonzero_mask


@given(st.tuples(*[st.integers(1, 6)] * 3), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_holes_are_filled_as_scipy_does(shape: tuple[int, ...], share: float, seed: int) -> None:
    image = (np.random.default_rng(seed).random((2, *shape)) < share / 2).astype(np.float32)
    np.testing.assert_array_equal(nonzero_mask(image), ndimage.binary_fill_holes(image.any(axis=0)))


def test_the_box_has_all_of_the_mask() -> None:
    mask = np.zeros((7, 6, 5), bool)
    mask[2, 3, 4] = mask[4, 1, 4] = True
    assert bounding_box(mask) == (slice(2, 5), slice(1, 4), slice(4, 5))
