import itertools

import nibabel as nib
import numpy as np
import pytest

from medvid.data.volumes.affines import closest_ras, is_singular

RELABELLINGS = [
    np.eye(3)[:, order] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def turned(axis: int, degrees: float) -> np.ndarray:
    angles = np.zeros(3)
    angles[axis] = np.radians(degrees)
    return nib.eulerangles.euler2mat(*angles)


def affine_of(linear: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = linear
    return affine


def in_ras(linear: np.ndarray) -> np.ndarray:
    """The voxel axes in the order and direction that `closest_ras` gives them."""
    turn = closest_ras(affine_of(linear))
    return (linear * turn[:, 1])[:, turn[:, 0].argsort()]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [0, 10, 40, 45, 50, 90, 135, 225, 315])
def test_rounding_and_the_order_of_axes_do_not_matter(axis: int, degrees: float) -> None:
    linear = turned(axis, degrees) * (0.7, 0.9, 3.0)
    expected = in_ras(linear)
    random = np.random.default_rng(0)
    for relabelling in RELABELLINGS:
        noise = random.uniform(-1e-6, 1e-6, (3, 3))
        np.testing.assert_allclose(in_ras((linear + noise) @ relabelling), expected, atol=3e-6)


def test_is_nibabels_where_one_answer_is_closest() -> None:
    random = np.random.default_rng(0)
    for relabelling in RELABELLINGS:
        oblique = nib.eulerangles.euler2mat(*random.uniform(-0.5, 0.5, 3)) @ relabelling * (0.7, 0.9, 3.0)
        np.testing.assert_array_equal(closest_ras(affine_of(oblique)), nib.io_orientation(affine_of(oblique)))


def test_affines_that_span_less_are_singular() -> None:
    assert not is_singular(affine_of(np.diag([1e-3, 1, 1e3])))
    assert is_singular(affine_of(np.diag([1.0, 1, 0])))
    assert is_singular(affine_of(np.ones((3, 3))))
    assert is_singular(affine_of(np.diag([1.0, 1, np.nan])))
