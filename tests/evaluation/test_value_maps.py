"""Figures of maps of values: hand-computed, the same whatever stands at unknown voxels, and on the grid of the file."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.data.grid import Grid
from medvid.evaluation.metrics.value_maps import left_out, r2, row_of, summarise
from medvid.evaluation.native_values import NativeValues, as_they_are

SHAPE = (4, 3, 5)


def maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, of which some is unknown."""
    random = np.random.default_rng(seed)
    prediction, truth = random.normal(20, 5, (2, *SHAPE)).astype(np.float32)
    truth[random.random(SHAPE) < random.random()] = np.nan
    return prediction, truth


def test_figures_of_a_case_by_hand() -> None:
    row = row_of(np.array([1.0, 2.0, 5.0, np.nan]), np.array([2.0, np.nan, 1.0, 3.0]))
    assert (row["mae"], row["bias"], row["max_error"]) == (2.5, 1.5, 4)
    assert row["rmse"] == pytest.approx(math.sqrt(8.5))
    assert (row["voxels"], row["voxels_unknown"], row["voxels_unpredicted"]) == (2, 1, 1)
    assert r2([row]) == pytest.approx(1 - 17 / 0.5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_predicted_at_unknown_voxels_changes_no_figure(seed: int) -> None:
    prediction, truth = maps(seed)
    other = np.where(np.isnan(truth), np.float32(1e30), prediction)
    assert row_of(other, truth) == pytest.approx(row_of(prediction, truth), nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4))
def test_r2_of_all_cases_is_that_of_their_voxels_together(seeds: list[int]) -> None:
    pairs = [maps(seed) for seed in seeds]
    rows = [row_of(*pair) for pair in pairs]
    found, true = (np.concatenate([pair[side][~np.isnan(pair[1])] for pair in pairs]) for side in (0, 1))
    if len(true) < 2:
        assert math.isnan(r2(rows))
        return
    true = true.astype(float)
    wanted = 1 - ((found - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    assert r2(rows) == pytest.approx(wanted, rel=1e-9)


def test_values_of_one_unit_have_a_mean_and_a_case_without_known_ones_is_left_out() -> None:
    cases = (([1.0, 3.0], [2.0, 2.0]), ([1.0, 5.0], [np.nan, np.nan]))
    rows = [{"value": name, **row_of(np.array(p), np.array(t))} for p, t in cases for name in ("a", "b")]
    metrics = summarise(rows, ("a", "b"), ("mm", "mm"))
    assert (metrics["mae"], metrics["mae/a"], metrics["rmse/b"]) == (1, 1, 1)
    assert math.isnan(metrics["r2"])  # the known truth is constant
    assert "mae" not in summarise(rows, ("a", "b"), ("mm", "s"))
    assert left_out(rows) == ["4 values of voxels are not known and left out of all figures"]


@pytest.mark.parametrize("spacing", [1.0, 0.5])
def test_values_get_to_the_grid_of_the_file_linearly_and_are_unknown_around_what_was_predicted(spacing: float) -> None:
    scale, offset, prepared = 1 / spacing, -1 / spacing, tuple(int(2 / spacing) + 1 for _ in range(3))
    grid = Grid((5,) * 3, (1.0,) * 3, prepared, (spacing,) * 3, (2, 0, 1), (scale,) * 3, (offset,) * 3)
    axes = [spacing * np.arange(length) + 1 for length in prepared]
    z, x, y = np.meshgrid(*axes, indexing="ij")  # native places, in the order of the prepared axes
    collector = NativeValues(grid, as_they_are)
    for slab in torch.from_numpy(np.stack([x + 10 * y + 100 * z, -x])).float().split(2, dim=-1):
        collector.add(slab)
    found = collector.labels()
    x, y, z = np.meshgrid(*[np.arange(5)] * 3, indexing="ij")
    inside = slice(1, 4)
    assert found.dtype == np.float32
    assert found[0, inside, inside, inside] == pytest.approx((x + 10 * y + 100 * z)[inside, inside, inside])
    assert found[1, inside, inside, inside] == pytest.approx(-x[inside, inside, inside])
    outside = np.ones(found.shape, bool)
    outside[:, inside, inside, inside] = False
    assert np.isnan(found[outside]).all()
