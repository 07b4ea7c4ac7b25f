import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.volumes.voxels import VoxelSet


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(1, 20)),
    st.sampled_from([0, 1e-3, 0.3, 1]),
)
def test_voxels_are_those_of_flatnonzero_in_its_order(seed: int, shape: tuple[int, ...], share: float) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    mask = np.asfortranarray(mask) if seed % 2 else mask
    voxels, expected = VoxelSet.where(mask), np.flatnonzero(mask)
    assert len(voxels) == len(expected)
    np.testing.assert_array_equal(voxels, expected)
    for number in {0, len(expected) // 2, len(expected) - 1} if len(expected) else ():
        assert voxels[number] == expected[number]


def test_there_is_nothing_behind_the_last_voxel() -> None:
    voxels = VoxelSet.where(np.arange(5000) > 4990)
    assert [*voxels] == [*range(4991, 5000)]
    for number in (9, -1):
        with pytest.raises(IndexError, match=f"voxel {number} of 9"):
            voxels[number]
    assert len(VoxelSet.where(np.empty(0, bool))) == 0
