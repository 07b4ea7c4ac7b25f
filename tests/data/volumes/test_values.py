"""Maps of values, from their files to training patches: what is not known stays unknown."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from medvid.data.transforms.resampling import resample_values
from medvid.data.transforms.scan_options import SpatialOptions
from medvid.data.transforms.spatial import Spatial, rotation_matrix
from medvid.data.volumes.values import resampled
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

SHAPE = (14, 12, 10)
AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])
MOVED = AFFINE + np.array([[0, 0, 0, 9], *[[0] * 4] * 3])


def place(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A value that is linear in the place, and another: (X, Y, Z, 2)."""
    x, y, z = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return np.stack([x + 2.0 * y + 3.0 * z, 100.0 - x], axis=3)


def dataset(root: Path, values: np.ndarray, affine: np.ndarray = AFFINE, **options: object) -> NIfTI:
    """Two cases of noise with these values."""
    for name in "ab":
        scan = np.random.default_rng(ord(name)).normal(50, 9, SHAPE)
        for folder, data, where in (("images", scan, AFFINE), ("labels", values, affine)):
            (root / folder).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(data.astype(np.float32), where), root / folder / f"{name}.nii.gz")
    block = {"values": {"sum": "mm", "rest": ""}, "patch": {"size": [8, 8, 8]}, "crop": False, "augment": []}
    return NIfTI(NIfTIOptions.model_validate({"root": root, "cache": root / "cache", **block, **options}))


def test_values_get_into_patches_as_they_are_turned_with_their_image_and_unknown_around_it(tmp_path: Path) -> None:
    values = place()
    values[3, 4, 5, 0] = np.nan
    found = dataset(tmp_path, values, patch={"size": [16, 8, 8], "per_case": 3})
    assert found.target_info == TargetInfo("voxel", "value", ("sum", "rest"), ("mm", ""), has_unknown=True)
    prepared = found.prepared("a")
    turned = np.moveaxis(values, 3, 0)[:, ::-1]  # the first axis runs to the left
    assert np.array_equal(prepared.label, turned.astype(np.float32), equal_nan=True)
    target = found.draw("a", 0).target
    assert target.shape == (3, 2, 16, 8, 8)
    assert target.dtype == torch.float32
    assert target[:, :, [0, -1]].isnan().all()  # the case is two voxels shorter than the patch
    assert target[:, :, 1:-1].isnan().sum() <= 3
    assert np.array_equal(found.open_case("a").native_truth(), np.moveaxis(values, 3, 0), equal_nan=True)


@pytest.mark.parametrize("orders", [False, True])
def test_resampled_values_are_interpolated_and_unknown_where_they_touch_unknown_ones(
    tmp_path: Path, orders: bool
) -> None:
    values = place()
    values[4, 4, 4, 0] = np.nan
    how = {"resampling": {"label": {"order": 1, "order_z": 1}, "separate_z": False}} if orders else {}
    prepared = dataset(tmp_path, values, spacing=[1.0, 1.0, 1.0], **how).prepared("a")
    grid = prepared.grid
    axes = [(np.arange(n) - grid.offset[axis]) / grid.scale[axis] for axis, n in enumerate(grid.prepared_shape)]
    native = np.stack(np.meshgrid(*axes, indexing="ij"))
    inside = ((native >= 0) & (np.array(SHAPE) - 1 >= native.T).T).all(axis=0)
    x, y, z = native
    touches = (np.abs(native - 4) < 1 - 1e-3).all(axis=0)
    assert touches.sum() == 27 if not orders else touches.sum() >= 8
    assert np.isnan(prepared.label[0][touches]).all()
    known = inside & ~(np.abs(native - 4) < 1 + 1e-3).all(axis=0)
    assert prepared.label[0][known] == pytest.approx((x + 2 * y + 3 * z)[known], abs=1e-3)
    assert prepared.label[1][inside] == pytest.approx((100 - x)[inside], abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4))
def test_what_stands_for_unknown_values_changes_no_known_one(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    values = (scale * random.normal(size=(2, 7, 6))).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan

    def zoom(numbers: np.ndarray) -> np.ndarray:
        return np.stack([ndimage.zoom(one, 1.7, order=1, mode="nearest", grid_mode=True) for one in numbers])

    found = resampled(values, zoom)
    for other in (-5 * scale, 5 * scale):  # a known value comes from known ones alone, whatever the others are
        there = zoom(np.where(np.isnan(values), other, values).astype(np.float64))
        known = ~np.isnan(found)
        assert found[known] == pytest.approx(there[known], abs=2e-3 * abs(scale) + 1e-6)


def test_turning_interpolates_values_linearly_and_keeps_unknown_ones_unknown() -> None:
    values = torch.from_numpy(np.moveaxis(place(), 3, 0).copy()).float()
    values[0, 7, 6, 5] = torch.nan
    matrix = rotation_matrix((0.2, -0.1, 0.3))
    found = resample_values(values, matrix, SHAPE)
    q = torch.stack(torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij"))
    p = torch.einsum("ij,jxyz->ixyz", matrix, q) + (torch.tensor(SHAPE) - 1).view(3, 1, 1, 1) / 2
    assert (found[1] - (100 - p[0]))[~found[1].isnan()].abs().max() < 1e-3
    inside = ((p > 0.01) & (p < torch.tensor(SHAPE).view(3, 1, 1, 1) - 1.01)).all(0)
    assert not found[1][inside].isnan().any()
    assert found[1][((p < -0.01) | (p > torch.tensor(SHAPE).view(3, 1, 1, 1) - 0.99)).any(0)].isnan().all()
    touched = ((p - torch.tensor([7.0, 6.0, 5.0]).view(3, 1, 1, 1)).abs() < 0.9).all(0)
    assert found[0][touched].isnan().all()


def test_a_spatial_transform_moves_values_with_their_image(tmp_path: Path) -> None:
    found = dataset(tmp_path, place())
    found.transforms = (Spatial(SpatialOptions(rotation=20, rotation_probability=1)),)
    found.transforms[0].axes = "volume"
    target = found.draw("a", 3).target
    known = ~target[0, 1].isnan()
    assert known.any()
    steps = target[0, 1].diff(dim=0)
    assert steps[~steps.isnan()].std() < 1e-3  # a turned ramp is a ramp
    assert steps.nanmean().abs() != pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "affine", "problem"),
    [
        (np.full((*SHAPE, 2), np.nan), AFFINE, "no value that is known"),
        (place()[..., 0], AFFINE, "2 values along the fourth axis"),
        (place((13, 12, 10)), AFFINE, "its map of values"),
        (place(), MOVED, "do not lie on"),
        (np.where(place() == 6, np.inf, place()), AFFINE, "voxels that are infinite"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(
    tmp_path: Path, values: np.ndarray, affine: np.ndarray, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        dataset(tmp_path, values, affine).check_case("a", deep=False)
    assert "case a" in str(caught.value)


def test_a_value_that_is_constant_is_said(tmp_path: Path) -> None:
    values = place()
    values[..., 1] = 7
    assert "its rest is 7 wherever it is known" in dataset(tmp_path, values).check_case("a", deep=False)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"labels": ["background", "lesion"]}, "labels is for labels"),
        ({"structures": ["lung"]}, "structures is for labels"),
        ({"patch": {"centres": "classes"}}, "patch.centres is for labels"),
        ({"values": {"dose": None}}, "values.dose"),
        ({"values": {"dose": {"mean": 3}}}, "values.dose.unit"),
        ({"values": {"dose": {"unit": "Gy", "deviation": 0}}}, "values.dose.deviation"),
        ({"values": {}}, "a name and a unit"),
        ({"straighten": True}, "straighten does not bring values"),
        ({"answers": "nrrd"}, "written as NIfTI, not as nrrd"),
    ],
)
def test_options_that_do_not_go_with_values_are_refused(
    tmp_path: Path, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        NIfTIOptions.model_validate({"root": tmp_path, "values": {"dose": "Gy"}, **options})


def test_values_have_their_scale_and_take_no_labels_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "CT", "1": "T1"}, "labels": {"b": 0, "l": 1}}')
    values = {"dose": {"unit": "Gy", "mean": 20, "deviation": 15}, "depth": "mm"}
    options = NIfTIOptions.model_validate({"root": tmp_path, "values": values, "augment": ()})
    info = options.target_info()
    assert (info.means, info.deviations, options.channel_count()) == ((20, 0), (15, 1), 2)
    assert NIfTIOptions.model_validate(options.model_dump(mode="json")) == options
