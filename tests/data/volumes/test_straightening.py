"""Scans of a tilted gantry: straightened to be seen, and answered on the grid of their files."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.data.volumes.formats.format import Geometry, Volume
from medvid.data.volumes.straightening import back_on_file, straight_place, straighten_image, straighten_labels
from medvid.errors import DataError
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

SHAPE = (20, 18, 16)
FLIPS = st.sampled_from([-1.0, 1.0])


def tilted(degrees: float, flips: tuple[float, ...] = (1, 1, 1), order: tuple[int, ...] = (0, 1, 2)) -> Geometry:
    """Slices of 3 mm that are shifted along the second axis."""
    affine = np.diag([0.8, 0.8, 3.0, 1.0])
    affine[1, 2] = 3 * np.tan(np.radians(degrees))
    affine[:3, :3] *= flips
    affine[:3, 3] = (5, -7, 11)
    affine[:3, :3] = affine[:3, list(order)]
    return Geometry(tuple(SHAPE[axis] for axis in order), affine)


def places(geometry: Geometry) -> np.ndarray:
    return nib.affines.apply_affine(geometry.affine, np.moveaxis(np.indices(geometry.shape), 0, -1))


@settings(max_examples=20)
@given(st.floats(3, 25) | st.floats(-25, -3), st.tuples(FLIPS, FLIPS, FLIPS), st.permutations(range(3)))
def test_every_voxel_keeps_its_place_and_answers_go_back(degrees: float, flips: Any, order: Any) -> None:
    geometry = tilted(degrees, flips, tuple(order))
    straight = straight_place(geometry)
    linear = straight.affine[:3, :3]
    np.testing.assert_allclose(linear.T @ linear, np.diag(np.square(straight.spacing)), atol=1e-9)
    np.testing.assert_allclose(np.sort(straight.spacing), (0.8, 0.8, 3))
    inside = nib.affines.apply_affine(np.linalg.inv(straight.affine), places(geometry))
    assert inside.min() >= -0.1
    assert (inside.reshape(-1, 3).max(axis=0) <= np.array(straight.shape) - 1 + 0.1).all()
    values = Volume(places(geometry)[..., 1].astype(np.float32), geometry)
    image = straighten_image(values)
    is_known = straighten_labels(np.ones(geometry.shape, np.uint8), geometry) > 0
    centre = tuple(slice(length // 2 - 2, length // 2 + 2) for length in straight.shape)
    np.testing.assert_allclose(image.data[centre], places(straight)[..., 1][centre], atol=1e-3)
    assert image.data[~is_known].size == 0 or image.data[~is_known].max() <= values.data.max()
    labels = (places(straight)[..., 1] > -4).astype(np.uint8)
    wanted = places(geometry)[..., 1] > -4
    near = abs(places(geometry)[..., 1] + 4) < 0.81
    assert (back_on_file(labels, geometry)[~near] == wanted[~near]).all()


def test_what_is_not_sheared_stays_as_it_is() -> None:
    geometry = tilted(0)
    assert straight_place(geometry) is geometry
    label_map = np.zeros(SHAPE, np.uint8)
    assert straighten_labels(label_map, geometry) is label_map


def test_a_tilted_scan_is_seen_straight_and_answered_on_its_own_grid(tmp_path: Path) -> None:
    geometry = tilted(20)
    at = places(geometry)
    ball = np.linalg.norm((at - at.reshape(-1, 3).mean(axis=0)) / (4, 4, 12), axis=-1) < 1
    for name, array in (("images", 100 * ball.astype(np.int16)), ("labels", ball.astype(np.uint8))):
        (tmp_path / name).mkdir()
        nib.save(nib.Nifti1Image(array, geometry.affine), tmp_path / name / "a.nii.gz")
    block = {"name": "nifti", "root": tmp_path, "cache": tmp_path / "cache", "labels": ["background", "ball"]}
    with pytest.raises(DataError, match="tilted gantry") as caught:
        NIfTI(NIfTIOptions.model_validate(block | {"spacing": [1, 1, 3]})).open_case("a").input()
    assert "dataset.straighten: true" in str(caught.value.hint)
    dataset = NIfTI(NIfTIOptions.model_validate(block | {"straighten": True, "spacing": [1, 1, 3]}))
    case = dataset.open_case("a")
    truth = case.native_truth()
    assert truth.shape == case.grid.native_shape == straight_place(geometry).shape == case.native_input().shape
    [path] = case.write(truth, tmp_path)
    written = nib.load(path)
    np.testing.assert_allclose(written.affine, geometry.affine, atol=1e-5)
    answer = np.asanyarray(written.dataobj)
    assert answer.shape == SHAPE
    assert 2 * (answer & ball).sum() / (answer.sum() + ball.sum()) > 0.95
    [path] = case.write_probabilities(np.stack([255 - 255 * truth, 255 * truth]), tmp_path)
    np.testing.assert_array_equal(nib.load(path).get_fdata()[..., 1] > 0.5, answer > 0)
