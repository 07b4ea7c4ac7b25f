import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch.multiprocessing.reductions import StorageWeakRef

from medvid.data.grid import Grid
from medvid.evaluation.restore import NativeLabels, PreparedLabels


def restore(scores: np.ndarray, grid: Grid, depths: list[int]) -> np.ndarray:
    native = NativeLabels(grid)
    for slab in torch.from_numpy(scores).split(depths, dim=-1):
        native.add(slab)
    return native.labels()


def reference(scores: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Labels from the whole interpolated score volume, and where the best two scores are clearly apart."""
    axes = range(len(grid.axes))
    lines = [grid.scale[p] * np.arange(grid.native_shape[grid.axes[p]]) + grid.offset[p] for p in axes]
    coordinates = np.stack(np.meshgrid(*lines, indexing="ij"))
    native = np.stack([map_coordinates(score, coordinates, order=1, mode="nearest") for score in scores])
    best_two = np.sort(native, axis=0)[-2:]
    last = np.array(grid.prepared_shape).reshape(-1, *[1] * len(axes)) - 1
    inside = ((coordinates >= -0.5) & (coordinates <= last + 0.5)).all(axis=0)
    back = np.argsort(grid.axes)
    labels = np.where(inside, native.argmax(axis=0), 0)
    return labels.transpose(back), (~inside | (best_two[1] - best_two[0] > 1e-4)).transpose(back)


GRIDS = {
    "anisotropic, coarser": Grid((13, 15, 9), (0.8, 0.8, 3.0), (7, 8, 14), (1.5, 1.5, 2.0), (0, 1, 2),
                                 (0.8 / 1.5, 0.8 / 1.5, 1.5), (0.0, 0.0, 0.3)),
    "flipped": Grid((10, 11, 12), (2.0, 2.0, 2.0), (14, 15, 16), (1.5, 1.5, 1.5), (0, 1, 2),
                    (-4 / 3, 4 / 3, -4 / 3), (12.5, 0.2, 15.1)),
    "permuted, flipped and cropped": Grid((16, 20, 12), (3.0, 0.7, 0.9), (5, 11, 6), (1.0, 1.0, 2.0), (2, 1, 0),
                                          (0.9, -0.7, 1.5), (-2.3, 12.2, -6.6)),
    "2D, transposed": Grid((20, 30), (1.0, 1.0), (17, 12), (1.5, 1.5), (1, 0), (-2 / 3, 2 / 3), (17.0, -0.4)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_equals_interpolating_the_whole_score_volume(name):
    grid = GRIDS[name]
    scores = np.random.default_rng(0).normal(size=(4, *grid.prepared_shape)).astype(np.float32)
    depth = grid.prepared_shape[-1]
    expected, clear = reference(scores, grid)
    assert clear.mean() > 0.99
    assert len(np.unique(expected)) == 4
    for depths in ([depth], [1] * depth, [3, depth - 4, 1]):
        labels = restore(scores, grid, depths)
        assert labels.shape == grid.native_shape
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels[clear], expected[clear])


@pytest.mark.parametrize("name", GRIDS)
def test_labels_do_not_depend_on_how_many_planes_are_labelled_at_once(name, monkeypatch):
    grid = GRIDS[name]
    scores = np.random.default_rng(0).normal(size=(4, *grid.prepared_shape)).astype(np.float32)
    depth = grid.prepared_shape[-1]
    expected = restore(scores, grid, [depth])
    for planes in (2, 3, 100):
        monkeypatch.setattr(NativeLabels, "_planes_at_once", lambda *_, planes=planes: planes)
        for depths in ([depth], [1] * depth, [3, depth - 4, 1]):
            np.testing.assert_array_equal(restore(scores, grid, depths), expected)


def test_planes_that_are_labelled_at_once_are_limited_by_memory():
    grid = Grid((512, 400, 150), (1.0,) * 3, (256, 200, 300), (2.0, 2.0, 0.5), (0, 1, 2), (0.5, 0.5, 2.0), (0.0,) * 3)
    native = NativeLabels(grid)
    assert native._planes_at_once(torch.empty(14, 256, 200, 48)) == 1
    assert native._planes_at_once(torch.empty(14, 256, 200, 48, device="meta")) == 2**28 // (4 * 14 * 512 * 400)
    assert native._planes_at_once(torch.empty(2000, 256, 200, 48, device="meta")) == 1


def test_identity_grid_gives_the_plain_argmax():
    shape = (6, 7, 8)
    grid = Grid(shape, (1.0,) * 3, shape, (1.0,) * 3, (0, 1, 2), (1.0,) * 3, (0.0,) * 3)
    scores = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    prepared = PreparedLabels()
    for slab in torch.from_numpy(scores).split([3, 5], dim=-1):
        prepared.add(slab)
    np.testing.assert_array_equal(prepared.labels(), scores.argmax(axis=0))
    np.testing.assert_array_equal(restore(scores, grid, [3, 5]), scores.argmax(axis=0))


def test_half_a_voxel_beyond_the_outermost_centres_is_inside_and_further_is_background():
    # Prepared voxels are four native voxels wide: centres 0 and 1 of it lie at native 3.5 and 7.5.
    grid = Grid((12,), (1.0,), (2,), (4.0,), (0,), (0.25,), (-0.875,))
    scores = np.zeros((3, 2), np.float32)
    scores[1, 0] = scores[2, 1] = 1
    assert restore(scores, grid, [2]).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0]


def test_a_centre_on_the_outer_face_is_inside_whatever_the_rounding_of_the_affine():
    grid = Grid((3,), (1.0,), (2,), (1.0,), (0,), (1.0 + 1e-7,), (-0.5 - 1e-7,))
    scores = np.stack([np.zeros(2), np.ones(2)]).astype(np.float32)
    assert restore(scores, grid, [1, 1]).tolist() == [1, 1, 1]


def test_as_many_labels_fit_as_a_label_map_may_have():
    grid = Grid((3,), (1.0,), (3,), (1.0,), (0,), (1.0,), (0.0,))
    scores = np.zeros((256, 3), np.float32)
    scores[[255, 3, 0], range(3)] = 1
    assert restore(scores, grid, [3]).tolist() == [255, 3, 0]


@pytest.mark.parametrize("accumulator", [PreparedLabels(), NativeLabels(GRIDS["flipped"])])
def test_scores_are_not_kept(accumulator):
    slab = torch.randn(4, 14, 15, 8)
    storage = StorageWeakRef(slab.untyped_storage())
    accumulator.add(slab)
    del slab
    assert storage.expired()
