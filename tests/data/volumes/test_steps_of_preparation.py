"""Preparation with nnU-Net's steps: crop to what is not 0, a scaling per channel, resampling that keeps the extent."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import VolumePreparation
from medvid.data.volumes.steps.options import (
    CTOptions,
    LinearOptions,
    NoneOptions,
    ResamplingOptions,
    RGBOptions,
    ZScoreOptions,
)
from medvid.errors import DataError
from medvid.evaluation.restore import NativeLabels

SHAPE, SPACING = (16, 14, 11), (1.0, 1.5, 4.0)
ANATOMY = slice(3, 13), slice(2, 12), slice(1, 10)
MASKED = ZScoreOptions(masked=True)
NNUNET = VolumePreparation(
    channels=2,
    scheme=LabelScheme(("background", "one", "two")),
    spacing=(1.2, 1.2, 3.0),
    normalize=(CTOptions(low=-50, high=150, mean=50, std=40), MASKED),
    window=None,
    crop="nonzero",
    resampling=ResamplingOptions(),
)


def affine_of(order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] @ np.diag(np.multiply(signs, SPACING))
    affine[:3, 3] = (31, -42, 17)
    return affine


def anatomy() -> np.ndarray:
    image = np.zeros((*SHAPE, 2), np.float32)
    image[ANATOMY] = np.random.default_rng(0).normal(60, 50, image[ANATOMY].shape)
    return image


def case(write, folder: Path, affine: np.ndarray | None = None, image: np.ndarray | None = None) -> CaseFiles:
    """Two channels that are 0 outside of the anatomy, and a label map of two blocks."""
    image = anatomy() if image is None else image
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:9, 3:8, 2:8], labels[9:12, 3:8, 2:8] = 1, 2
    affine = affine_of() if affine is None else affine
    return CaseFiles("a", (write(folder / "a.nii", image, affine),), write(folder / "l.nii", labels, affine))


@pytest.mark.parametrize(
    ("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 0, 2), (1, -1, 1))]
)
@pytest.mark.parametrize("apart", [False, "auto"])
def test_prepared_voxels_and_the_grid_agree(tmp_path: Path, write, order, signs, apart) -> None:
    """An image of its own coordinates: each prepared voxel holds the place that the grid gives it."""
    image = np.moveaxis(np.indices(SHAPE), 0, -1).astype(np.float32) + 1
    linear = {"order": 1, "order_z": 1}
    settings = replace(
        NNUNET,
        channels=3,
        normalize=(NoneOptions(),) * 3,
        crop=False,
        resampling=ResamplingOptions.model_validate({"image": linear, "separate_z": apart}),
    )
    prepared = settings.prepare(case(write, tmp_path, affine_of(order, signs), image))
    grid, found = prepared.grid, prepared.image.reshape(3, -1).T - 1
    expected = np.indices(grid.prepared_shape).reshape(3, -1).T
    inside = ((found > 0.01) & (found < np.array(SHAPE) - 1.01)).all(axis=1)
    assert inside.mean() > 0.4
    ours = np.array(grid.scale) * found[:, grid.axes] + np.array(grid.offset)
    np.testing.assert_allclose(ours[inside], expected[inside], atol=1e-4)
    lengths = np.multiply(SHAPE, SPACING)[list(grid.axes)]
    np.testing.assert_allclose(np.multiply(grid.prepared_shape, grid.prepared_spacing), lengths)
    assert grid.nearest_axes == ((grid.axes.index(2),) if apart else ())


def test_a_labels_own_scores_bring_it_back(tmp_path: Path, write) -> None:
    """At twice the resolution the label map comes back as it was, cropped and with its axes turned."""
    files = case(write, tmp_path, affine_of((2, 0, 1), (-1, 1, -1)))
    prepared = replace(NNUNET, spacing=(2.0, 0.5, 0.75)).prepare(files)
    native = NativeLabels(prepared.grid)
    scores = np.eye(3, dtype=np.float32)[prepared.label]
    native.add(torch.from_numpy(np.moveaxis(scores, -1, 0)))
    np.testing.assert_array_equal(native.labels(), nib.load(files.label).dataobj)


def test_what_is_outside_of_the_mask_is_told_and_zero(tmp_path: Path, write) -> None:
    image = anatomy()
    image[6:8, 6:8, 5] = 0  # a hole, which belongs to the mask
    image[3:5, 2:12, :] = 0
    image[3, 2, 1] = 7  # the corner of the box
    prepared = replace(NNUNET, spacing=SPACING).prepare(case(write, tmp_path, image=image))
    assert prepared.mask.shape == prepared.label.shape == tuple(side.stop - side.start for side in ANATOMY)
    assert prepared.mask[3:5, 4:6, 4].all()
    assert prepared.mask[prepared.label > 0].all()
    assert not prepared.mask[0, 5:].any()
    assert (prepared.image[1][~prepared.mask] == 0).all()
    assert (prepared.image[0][~prepared.mask] != 0).all()
    inside = prepared.image[1][prepared.mask].astype(float)
    np.testing.assert_allclose([inside.mean(), inside.std()], (0, 1), atol=2e-3)
    assert set(np.asarray(prepared.background)) == set(np.flatnonzero(prepared.mask & (prepared.label == 0)))


def test_without_a_mask_none_is_kept(tmp_path: Path, write) -> None:
    prepared = replace(NNUNET, normalize=(ZScoreOptions(),) * 2).prepare(case(write, tmp_path))
    assert prepared.mask is None


@pytest.mark.parametrize(("second", "dtype"), [(MASKED, np.float16), (NoneOptions(), np.float32)])
def test_values_of_any_size_are_kept_in_full_precision(tmp_path: Path, write, second, dtype) -> None:
    prepared = replace(NNUNET, normalize=(MASKED, second)).prepare(case(write, tmp_path))
    assert prepared.image.dtype == dtype
    assert np.isfinite(prepared.image).all()


@pytest.mark.parametrize("crop", [False, "body", "nonzero"])
@pytest.mark.parametrize("resampling", ["linear", ResamplingOptions()])
def test_every_crop_goes_with_every_resampling(tmp_path: Path, write, crop, resampling) -> None:
    normalize = (CTOptions(low=-50, high=150, mean=50, std=40), ZScoreOptions())
    settings = replace(NNUNET, crop=crop, resampling=resampling, normalize=normalize, spacing=(2.0, 2.0, 4.0))
    prepared = settings.prepare(case(write, tmp_path))
    assert prepared.label.shape == prepared.image.shape[1:] == prepared.grid.prepared_shape
    assert {*np.unique(prepared.label)} == {0, 1, 2}
    assert [*prepared.locations.structures] == ["one", "two"]


@pytest.mark.parametrize("shape", [(1, 1, 2), (9, 8, 1), (2, 3, 4)])
def test_tiny_volumes_and_single_slices(tmp_path: Path, write, shape) -> None:
    image = np.random.default_rng(0).normal(50, 9, shape).astype(np.float32)
    path = write(tmp_path / "a.nii", image, affine_of())
    for spacing in ((9.0, 9.0, 90.0), (0.5, 0.5, 1.0)):
        settings = replace(NNUNET, channels=1, normalize=(ZScoreOptions(),), spacing=spacing)
        prepared = settings.prepare(CaseFiles("a", (path,)))
        assert min(prepared.image.shape) >= 1
        assert np.isfinite(prepared.image).all()


def test_images_that_cannot_be_scaled_are_refused(tmp_path: Path, write) -> None:
    image = anatomy()
    with pytest.raises(DataError, match=r"case a: channel 1 of the image: its values are from -.* rgb takes"):
        replace(NNUNET, normalize=(MASKED, RGBOptions())).prepare(case(write, tmp_path, image=image))
    image[..., 1] = 5
    with pytest.raises(DataError, match="case a: channel 1 of the image is constant"):
        NNUNET.prepare(case(write, tmp_path, image=image))
    with pytest.raises(DataError, match="case a: every voxel of the image is 0"):
        NNUNET.prepare(case(write, tmp_path, image=np.zeros((*SHAPE, 2), np.float32)))


def test_scores_can_take_the_nearest_voxel_everywhere(tmp_path: Path, write) -> None:
    nearest = ResamplingOptions(scores=LinearOptions(order=0))
    assert replace(NNUNET, resampling=nearest).prepare(case(write, tmp_path)).grid.nearest_axes == (0, 1, 2)
