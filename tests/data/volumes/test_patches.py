from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.transforms import RandCropByPosNegLabel

from medvid.data.grid import Grid
from medvid.data.volumes.formats.format import Geometry
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.options import PatchOptions
from medvid.data.volumes.patches import cut, draw_centres, draw_patches
from medvid.data.volumes.preparation import Prepared
from medvid.data.volumes.voxels import VoxelSet

SHAPE = (20, 16, 12)


def case(shape: tuple[int, ...] = SHAPE, labelled: slice = slice(6, 9)) -> Prepared:
    """An image whose voxels are their own flat index + 1, air on one side, and a labelled block."""
    image = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(1, *shape)
    image[:, :3] = 0
    label = np.zeros(shape, np.uint8)
    label[labelled, labelled, labelled] = 1
    grid = Grid(shape, (1.0,) * 3, shape, (1.0,) * 3, (0, 1, 2), (1.0,) * 3, (0.0,) * 3)
    return Prepared(
        image,
        grid,
        Geometry(image.shape[1:], np.eye(4)),
        label,
        VoxelSet.where(label > 0),
        VoxelSet.where((image[0] > 0) & (label == 0)),
    )


PLAIN = LabelScheme(("background", "block"))


def draw(prepared: Prepared, seed: int = 0, scheme: LabelScheme = PLAIN, **options: object):
    return draw_patches(prepared, PatchOptions(size=(8, 8, 8), **options), np.random.RandomState(seed), scheme)[:2]


def test_shapes_and_types() -> None:
    images, labels = draw(case(), per_case=3)
    assert images.shape == (3, 1, 8, 8, 8)
    assert labels.shape == (3, 8, 8, 8)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.uint8)
    assert images.is_contiguous()


def test_patches_are_pieces_of_the_case() -> None:
    prepared = case()
    for image, label in zip(*draw(prepared, per_case=20), strict=True):
        flat = int(image[0, -1, -1, -1]) - 1
        stop = np.array(np.unravel_index(flat, SHAPE)) + 1
        where = tuple(slice(end - 8, end) for end in stop)
        np.testing.assert_array_equal(image, prepared.image[:, *where])
        np.testing.assert_array_equal(label, prepared.label[where])


def test_centres_are_those_of_monais_transform() -> None:
    prepared, options = case(), PatchOptions(size=(8, 8, 8), per_case=30, positive=2, negative=1)
    transform = RandCropByPosNegLabel((8, 8, 8), pos=2, neg=1, num_samples=30)
    transform.set_random_state(state=np.random.RandomState(3))
    transform.randomize(
        None,
        np.asarray(prepared.foreground, np.int64),
        np.asarray(prepared.background, np.int64),
        torch.from_numpy(prepared.image),
    )
    assert draw_centres(prepared, options, np.random.RandomState(3)) == [tuple(c) for c in transform.centers]


@pytest.mark.parametrize(("positive", "negative", "share"), [(1, 1, 0.5), (3, 1, 0.75), (1, 0, 1.0), (0, 1, 0.0)])
def test_distribution_of_centres(positive: float, negative: float, share: float) -> None:
    """With patches of one voxel nothing is moved: centres are uniform over either kind of voxel."""
    prepared = case()
    options = PatchOptions(size=(1, 1, 1), per_case=6000, positive=positive, negative=negative)
    centres = draw_centres(prepared, options, np.random.RandomState(0))
    drawn = np.ravel_multi_index(np.array(centres).T, SHAPE)
    inside = np.isin(drawn, prepared.foreground)
    assert inside.mean() == pytest.approx(share, abs=0.02)
    assert np.isin(drawn[~inside], prepared.background).all()
    if share == 1:
        counts = np.bincount(np.searchsorted(np.asarray(prepared.foreground), drawn), minlength=27)
        assert ((counts - 6000 / 27) ** 2 / (6000 / 27)).sum() < 60  # chi-squared of 26 degrees, p < 0.001


def test_cases_with_one_kind_of_voxel() -> None:
    none = VoxelSet.where(np.zeros(0, bool))
    empty = replace(case(), foreground=none)
    assert set(
        np.ravel_multi_index(
            np.array(draw_centres(empty, PatchOptions(size=(1, 1, 1)), np.random.RandomState(0))).T, SHAPE
        )
    ) <= set(np.asarray(empty.background))
    full = replace(case(), background=none)
    assert set(
        np.ravel_multi_index(
            np.array(draw_centres(full, PatchOptions(size=(1, 1, 1)), np.random.RandomState(0))).T, SHAPE
        )
    ) <= set(np.asarray(full.foreground))


def test_small_volumes_are_padded_with_zeros() -> None:
    prepared = case((5, 16, 7), labelled=slice(3, 5))
    images, labels = draw(prepared, per_case=10)
    assert images.shape == (10, 1, 8, 8, 8)
    np.testing.assert_array_equal(images[:, :, [0, -2, -1]], 0)
    np.testing.assert_array_equal(images[..., -1:], 0)
    assert (images[:, 0, 4:6, :, 0:7] > 0).all()
    np.testing.assert_array_equal(labels[:, [0, -2, -1]], 0)


@pytest.mark.parametrize("corner", [-9, -8, -3, 0, 25, 30, 40])
def test_what_is_cut_outside_of_the_volume_is_0(corner: int) -> None:
    line = np.arange(1.0, 31.0)
    patch = cut(line.reshape(1, 30, 1, 1), (corner, 0, 0), (8, 1, 1)).ravel()
    around = np.pad(line, 20)
    np.testing.assert_array_equal(patch, around[20 + corner :][:8])


def test_the_seed_decides_and_no_global_state_is_read_or_changed() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one, same, other = (draw(case(), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


def test_patches_of_regions_know_what_nobody_annotated() -> None:
    prepared = case(labelled=slice(4, 9))
    label = prepared.label.copy()
    label[6:, 6:, 6:] = 2
    label[:, :, 8:] = 3
    prepared = replace(prepared, label=label)
    scheme = LabelScheme(("whole", "core"), ((1, 2), (2,)), ignore=3)
    _, targets = draw(prepared, scheme=scheme)
    assert (targets.shape, targets.dtype) == ((4, 2, 8, 8, 8), torch.int8)
    assert set(targets.unique().tolist()) == {-1, 0, 1}
    whole, core = targets.unbind(1)
    assert torch.equal(whole == -1, core == -1)
    assert bool((whole[core == 1] == 1).all())


def test_a_case_of_which_nothing_is_annotated_yields_its_middle() -> None:
    nothing = VoxelSet.where(np.zeros(0, bool))
    prepared = replace(case(), foreground=nothing, background=nothing)
    assert draw_centres(prepared, PatchOptions(per_case=2), np.random.RandomState(0)) == [(10, 8, 6)] * 2


def test_masks_are_cut_where_patches_are() -> None:
    """Also over the rim, where nothing belongs to the mask."""
    prepared = case()
    options, random = PatchOptions(size=(8, 8, 8), per_case=5), np.random.RandomState(0)
    masked = replace(prepared, mask=prepared.image[0] > 0)
    images, _, masks = draw_patches(masked, options, random, PLAIN, larger=(20, 20, 20))
    assert masks.dtype == torch.bool
    assert 0 < masks.float().mean() < 1
    np.testing.assert_array_equal(masks, images[:, 0] > 0)
    assert draw_patches(prepared, options, random, PLAIN)[2] is None
