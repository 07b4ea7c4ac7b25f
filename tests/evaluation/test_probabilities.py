"""The probability of each label on the grid of a file."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax

from medvid.data.grid import Grid
from medvid.evaluation.probabilities import NativeProbabilities
from medvid.evaluation.restore import NativeLabels
from medvid.plugin.info import TargetInfo

TARGETS = {what: TargetInfo("voxel", what, ("background", "a", "b")) for what in ("class", "labels")}
# Permuted, flipped and cropped; not cropped, and transposed.
GRIDS = (
    Grid((16, 20, 12), (3.0, 0.7, 0.9), (5, 11, 6), (1.0, 1.0, 2.0), (2, 1, 0), (0.9, -0.7, 1.5), (-2.3, 12.2, -6.6)),
    Grid((20, 30), (1.0, 1.0), (17, 12), (1.5, 1.5), (1, 0), (-2 / 3, 2 / 3), (17.0, -0.4)),
)


@pytest.mark.parametrize("what", TARGETS)
@pytest.mark.parametrize("grid", GRIDS)
def test_equals_the_probabilities_of_the_whole_interpolated_score_volume(grid: Grid, what: str) -> None:
    scores = np.random.default_rng(0).normal(scale=3, size=(3, *grid.prepared_shape)).astype(np.float32)
    found, labels = NativeProbabilities(grid, TARGETS[what]), NativeLabels(grid)
    for slab in torch.from_numpy(scores).split([2, grid.prepared_shape[-1] - 2], dim=-1):
        found.add(slab)
        labels.add(slab)
    found.to_host()

    ranges = zip(grid.axes, grid.scale, grid.offset, strict=True)
    coordinates = np.stack(
        np.meshgrid(
            *(scale * np.arange(grid.native_shape[axis]) + offset for axis, scale, offset in ranges), indexing="ij"
        )
    )
    native = np.stack([map_coordinates(score, coordinates, order=1, mode="nearest") for score in scores])
    last = np.array(grid.prepared_shape).reshape(-1, *[1] * len(grid.axes)) - 1
    inside = ((coordinates >= -0.5) & (coordinates <= last + 0.5)).all(axis=0)
    expected = softmax(native, axis=0) if what == "class" else expit(native)
    certain = np.reshape([float(what == "class"), 0, 0], (3, *[1] * len(grid.axes)))
    expected = np.where(inside, expected, certain).transpose(0, *(1 + np.argsort(grid.axes)))

    assert found.values().shape == (3, *grid.native_shape)
    np.testing.assert_allclose(found.values() / 255, expected, rtol=0, atol=0.5 / 255 + 1e-5)
    if what == "class":
        likeliest = np.take_along_axis(found.values(), labels.labels()[None].astype(np.intp), axis=0)[0]
        np.testing.assert_array_equal(likeliest, found.values().max(axis=0))
