"""What holds of every plan of nnU-Net, whatever the data are."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.errors import ResourceError
from medvid.planning.nnunet.patch import plan_patch
from medvid.planning.nnunet.plans import plan
from medvid.planning.nnunet.presets import PRESETS
from medvid.planning.nnunet.spacing import axis_order
from medvid.planning.nnunet.topology import plan_topology

SPACING = st.lists(st.floats(0.1, 12), min_size=3, max_size=3)
SIZE = st.lists(st.integers(1, 600), min_size=3, max_size=3)


@given(SPACING, SIZE)
def test_topologies_divide_their_patch(spacing: list[float], size: list[int]) -> None:
    topology = plan_topology(spacing, size)
    assert all(voxels % divisor == 0 for voxels, divisor in zip(topology.patch, topology.divisors, strict=True))
    assert all(
        least <= voxels < least + divisor
        for least, voxels, divisor in zip(size, topology.patch, topology.divisors, strict=True)
    )
    assert len(topology.strides) == len(topology.kernels) == len(topology.features())
    assert all(
        voxels // divisor >= min(4, least)
        for voxels, divisor, least in zip(topology.patch, topology.divisors, size, strict=True)
    )


@settings(max_examples=10, deadline=None)
@given(SPACING, SIZE, st.sampled_from(sorted(PRESETS)), st.floats(4, 80))
def test_patches_fit_the_memory_and_the_median_case(
    spacing: list[float], size: list[int], preset: str, memory: float
) -> None:
    sizing = plan_patch(spacing, size, 20 * math.prod(size), 3, PRESETS[preset], memory)
    assert sizing.elements <= sizing.reference
    assert sizing.batch >= 2
    for voxels, whole, divisor in zip(sizing.topology.patch, size, sizing.topology.divisors, strict=True):
        assert voxels < whole + divisor


@given(SPACING)
def test_the_coarsest_axis_comes_first_and_the_orders_are_inverse(spacing: list[float]) -> None:
    forward, backward = axis_order(spacing)
    assert spacing[forward[0]] == max(spacing)
    assert [forward[axis] for axis in backward] == [0, 1, 2]


def fingerprint(spacing: list[float], shape: list[int], cases: int = 5) -> dict[str, Any]:
    return {
        "spacings": [spacing] * cases,
        "shapes_after_crop": [shape] * cases,
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }


DATASET = {
    "channel_names": {"0": "MR"},
    "labels": {"background": 0, "a": 1},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


def test_more_memory_never_means_a_smaller_patch() -> None:
    facts = fingerprint([1.0, 1.0, 1.0], [300, 280, 260])
    patches = [plan(DATASET, facts, memory=gigabytes)["configurations"]["3d_fullres"] for gigabytes in (8, 16, 40)]
    voxels = [math.prod(block["patch_size"]) for block in patches]
    assert voxels == sorted(voxels)
    assert voxels[0] < voxels[-1]


def test_memory_that_nothing_fits_is_refused() -> None:
    with pytest.raises(ResourceError, match="no patch fits into the memory"):
        plan(DATASET, fingerprint([1.0, 1.0, 1.0], [300, 280, 260]), memory=1e-6)
