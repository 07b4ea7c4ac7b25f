from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.transforms import RandCropByPosNegLabel

from medvid.config.volumes import AugmentOptions, IntensityChange, PatchOptions
from medvid.data.grid import Grid
from medvid.data.nifti_space import Space
from medvid.data.patches import cut, draw_centres, draw_patches
from medvid.data.preparation import Prepared

SHAPE = (20, 16, 12)
NO_CHANGE = IntensityChange(probability=0)
PLAIN = AugmentOptions(flip=0, rotate90=0, scale_intensity=NO_CHANGE, shift_intensity=NO_CHANGE)


def case(shape: tuple[int, ...] = SHAPE, labelled: slice = slice(6, 9)) -> Prepared:
    """An image whose voxels are their own flat index + 1, air on one side, and a labelled block."""
    image = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(1, *shape)
    image[:, :3] = 0
    label = np.zeros(shape, np.uint8)
    label[labelled, labelled, labelled] = 1
    grid = Grid(shape, (1.0,) * 3, shape, (1.0,) * 3, (0, 1, 2), (1.0,) * 3, (0.0,) * 3)
    foreground, background = np.flatnonzero(label), np.flatnonzero((image[0] > 0) & (label == 0))
    return Prepared(image, grid, Space(), label, foreground.astype(np.uint32), background.astype(np.uint32))


def draw(prepared: Prepared, seed: int = 0, augment: AugmentOptions = PLAIN, **options: object):
    return draw_patches(prepared, PatchOptions(size=(8, 8, 8), **options), augment, seed)


def test_shapes_and_types() -> None:
    images, labels = draw(case(), per_case=3)
    assert images.shape == (3, 1, 8, 8, 8)
    assert labels.shape == (3, 8, 8, 8)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert type(images) is torch.Tensor  # not MONAI's, which would carry its history along
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
        prepared.foreground.astype(np.int64),
        prepared.background.astype(np.int64),
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
        counts = np.bincount(np.searchsorted(prepared.foreground, drawn), minlength=27)
        assert ((counts - 6000 / 27) ** 2 / (6000 / 27)).sum() < 60  # chi-squared of 26 degrees, p < 0.001


def test_cases_with_one_kind_of_voxel() -> None:
    none = np.zeros(0, np.uint32)
    empty = replace(case(), foreground=none)
    assert set(
        np.ravel_multi_index(
            np.array(draw_centres(empty, PatchOptions(size=(1, 1, 1)), np.random.RandomState(0))).T, SHAPE
        )
    ) <= set(empty.background)
    full = replace(case(), background=none)
    assert set(
        np.ravel_multi_index(
            np.array(draw_centres(full, PatchOptions(size=(1, 1, 1)), np.random.RandomState(0))).T, SHAPE
        )
    ) <= set(full.foreground)


def test_small_volumes_are_padded_with_zeros() -> None:
    prepared = case((5, 16, 7), labelled=slice(3, 5))
    images, labels = draw(prepared, per_case=10)
    assert images.shape == (10, 1, 8, 8, 8)
    np.testing.assert_array_equal(images[:, :, [0, -2, -1]], 0)
    np.testing.assert_array_equal(images[..., -1:], 0)
    assert (images[:, 0, 4:6, :, 0:7] > 0).all()
    np.testing.assert_array_equal(labels[:, [0, -2, -1]], 0)


@pytest.mark.parametrize("size", [7, 8])
def test_cut_is_centred(size: int) -> None:
    line = np.arange(30.0).reshape(1, 30, 1, 1)
    patch = cut(line, (15, 0, 0), (size, 1, 1)).ravel()
    np.testing.assert_array_equal(patch, np.arange(15 - size // 2, 15 - size // 2 + size))


def test_the_seed_decides() -> None:
    augment = AugmentOptions(flip=0.5, rotate90=0.5)
    one, same, other = (draw(case(), seed, augment) for seed in (2**62 + 1, 2**62 + 1, 2**62 + 2))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


def test_no_global_state_is_read_or_changed() -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = draw(case(), augment=AugmentOptions(flip=0.5, rotate90=0.5))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(1)
    assert torch.equal(draw(case(), augment=AugmentOptions(flip=0.5, rotate90=0.5))[0], first[0])


@pytest.mark.parametrize("change", [{"flip": 1.0}, {"rotate90": 1.0}])
def test_image_and_label_move_together(change: dict) -> None:
    augment = PLAIN.model_copy(update=change)
    prepared = case()
    prepared.image[0] = prepared.label  # so that they have to be equal afterwards
    images, labels = draw(prepared, augment=augment, per_case=8)
    assert torch.equal(images[:, 0].long(), labels)
    assert labels.sum() > 0
    assert not torch.equal(labels, draw(prepared, per_case=8)[1])


def test_flips_are_independent_and_as_frequent_as_asked() -> None:
    line = replace(
        case(), image=np.arange(512, dtype=np.float32).reshape(1, 8, 8, 8), label=np.zeros((8, 8, 8), np.uint8)
    )
    line = replace(line, grid=replace(line.grid, prepared_shape=(8, 8, 8)), background=np.arange(512, dtype=np.uint32))
    images, _ = draw(line, augment=PLAIN.model_copy(update={"flip": 0.2}), per_case=400, positive=0)
    corners = images[:, 0, 0, 0, 0].numpy().astype(int)
    flipped = np.stack(np.unravel_index(corners, (8, 8, 8))) == 7
    np.testing.assert_allclose(flipped.mean(axis=1), 0.2, atol=0.06)
    assert abs((flipped[0] & flipped[1]).mean() - 0.04) < 0.03


def test_rotations_leave_the_slice_axis() -> None:
    prepared = case()
    augment = PLAIN.model_copy(update={"rotate90": 1.0})
    turned, plain = draw(prepared, augment=augment, per_case=8)[0], draw(prepared, per_case=8)[0]
    for one, other in zip(turned, plain, strict=True):
        assert any(torch.equal(torch.rot90(other, k, (1, 2)), one) for k in (1, 2, 3))


def test_intensities_change_within_their_range() -> None:
    prepared = case()
    prepared.image[:] = 0.5
    scaled = draw(
        prepared,
        augment=PLAIN.model_copy(update={"scale_intensity": IntensityChange(range=0.1, probability=1)}),
        per_case=50,
    )
    shifted = draw(
        prepared,
        augment=PLAIN.model_copy(update={"shift_intensity": IntensityChange(range=0.1, probability=1)}),
        per_case=50,
    )
    for images, low, high in ((scaled[0], 0.45, 0.55), (shifted[0], 0.4, 0.6)):
        assert low <= images.min() < images.max() <= high
        assert images.max() - images.min() > 0.7 * (high - low)
