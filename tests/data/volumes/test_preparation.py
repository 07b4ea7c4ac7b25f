import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from monai.transforms.utils import map_binary_to_indices
from scipy import ndimage

from medvid.data.grid import Grid
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import VolumePreparation
from medvid.data.volumes.relation import relate
from medvid.errors import DataError

TWO, FOURTEEN = (LabelScheme(tuple(map(str, range(count)))) for count in (2, 14))
BTCV = VolumePreparation(
    channels=1,
    scheme=FOURTEEN,
    spacing=(1.5, 1.5, 2.0),
    normalize="window",
    window=(-175, 250),
    crop=True,
)
SHAPE = (21, 18, 11)


def rotation(degrees: float) -> np.ndarray:
    """About an axis that is none of the coordinates'."""
    return nib.eulerangles.euler2mat(*np.radians([degrees, degrees / 2, -degrees / 3]))


def affine_of(order: tuple[int, ...], signs: tuple[int, ...], degrees: float = 0.0) -> np.ndarray:
    """Axes permuted, flipped and turned, of different spacing."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.eye(3)[:, order] @ np.diag(np.multiply(signs, (0.9, 1.3, 2.7)))
    affine[:3, 3] = (31, -42, 17)
    return affine


ODD = affine_of((1, 0, 2), (-1, 1, -1), 8)
AFFINES = [
    affine_of(o, s, d)
    for o, s, d in zip(
        itertools.permutations(range(3)), itertools.product((1, -1), repeat=3), (0, 0, 5, 0, 12, 20), strict=False
    )
]


@pytest.fixture
def files(tmp_path: Path, write) -> CaseFiles:
    random = np.random.default_rng(0)
    image = random.integers(-300, 400, SHAPE, dtype=np.int16)
    image[:4], image[:, -3:], image[..., :2] = -1000, -900, -1024
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:15, 4:12, 3:9] = random.integers(1, 14, (9, 8, 6))
    return CaseFiles("a", (write(tmp_path / "a.nii.gz", image, ODD),), write(tmp_path / "l.nii.gz", labels, ODD))


def published(files: CaseFiles) -> dict:
    """The pipeline of research-contributions, UNETR/BTCV, utils/data_utils.py, up to the random crop."""
    keys = ["image", "label"]
    pipeline = Compose(
        [
            LoadImaged(keys=keys),
            EnsureChannelFirstd(keys=keys),
            Orientationd(keys=keys, axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
            Spacingd(keys=keys, pixdim=(1.5, 1.5, 2.0), mode=("bilinear", "nearest")),
            ScaleIntensityRanged(keys="image", a_min=-175, a_max=250, b_min=0.0, b_max=1.0, clip=True),
            CropForegroundd(keys=keys, source_key="image", allow_smaller=True),
        ]
    )
    return pipeline({"image": files.images[0], "label": files.label})


def test_numbers_are_those_of_the_published_pipeline(files: CaseFiles) -> None:
    expected, prepared = published(files), BTCV.prepare(files)
    image, labels = expected["image"].numpy(), expected["label"].numpy()
    assert prepared.image.shape == image.shape
    assert prepared.grid.prepared_shape != tuple(SHAPE)
    np.testing.assert_array_equal(prepared.image, image.astype(np.float16))
    np.testing.assert_array_equal(prepared.label, labels[0])
    foreground, background = map_binary_to_indices(labels, image, image_threshold=0)
    np.testing.assert_array_equal(prepared.foreground, foreground)
    np.testing.assert_array_equal(prepared.background, background)
    np.testing.assert_allclose(prepared.grid.prepared_spacing, (1.5, 1.5, 2.0))


def test_half_precision_is_off_by_at_most_a_tenth_of_a_hounsfield_unit(files: CaseFiles) -> None:
    difference = np.abs(BTCV.prepare(files).image.astype(np.float32) - published(files)["image"].numpy())
    assert 0 < difference.max() <= 2**-12
    assert difference.max() * 425 < 0.11


def prepared_coordinates(grid: Grid, native: np.ndarray) -> np.ndarray:
    """Native voxel indices (N, 3) in prepared voxels, as `Grid` defines it."""
    return np.array(grid.scale) * native[:, grid.axes] + np.array(grid.offset)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("spacing", [None, (1.5, 1.5, 2.0), (1.0, 2.0, 0.7)])
def test_grid_says_where_prepared_voxels_come_from(tmp_path: Path, write, affine, spacing) -> None:
    """Each prepared voxel of an image of its own coordinates holds just those, so grid and resampling agree."""
    native = np.indices(SHAPE).astype(np.float32)
    paths = tuple(write(tmp_path / f"{axis}.nii", native[axis], affine) for axis in range(3))
    settings = replace(BTCV, channels=3, spacing=spacing, window=(0.0, 32.0), crop=False)
    prepared = settings.prepare(CaseFiles("a", paths))
    found = prepared.image.astype(np.float32).reshape(3, -1).T * 32
    expected = np.indices(prepared.grid.prepared_shape).reshape(3, -1).T
    inside = ((found > 0.01) & (found < np.array(SHAPE) - 1.01)).all(
        axis=1
    )  # beyond the border, the border is repeated
    assert inside.mean() > 0.5
    np.testing.assert_allclose(prepared_coordinates(prepared.grid, found)[inside], expected[inside], atol=0.05)


@pytest.mark.parametrize("affine", AFFINES)
def test_grid_agrees_with_the_affines(affine: np.ndarray) -> None:
    canonical = nib.as_closest_canonical(nib.Nifti1Image(np.zeros(SHAPE), affine)).affine
    target = canonical @ np.diag([1.5, 0.7, 2.0, 1])
    target[:3, 3] += target[:3, :3] @ (2, 3, 1)  # cropped
    grid = relate(affine, SHAPE, target, (5, 6, 7))
    native = np.random.default_rng(0).uniform(0, 10, (20, 3))
    world = nib.affines.apply_affine(affine, native)
    np.testing.assert_allclose(nib.affines.apply_affine(target, prepared_coordinates(grid, native)), world, atol=1e-9)
    assert grid.native_shape == SHAPE
    assert grid.prepared_shape == (5, 6, 7)
    np.testing.assert_allclose(grid.native_spacing, (0.9, 1.3, 2.7))
    np.testing.assert_allclose(grid.prepared_spacing, nib.affines.voxel_sizes(target))


def test_sheared_axes_are_refused(tmp_path: Path, write) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    image = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.int16)
    with pytest.raises(DataError, match=r"case a: .*a\.nii: its axes are sheared"):
        BTCV.prepare(CaseFiles("a", (write(tmp_path / "a.nii", image, sheared),)))


@pytest.mark.parametrize("degrees", [0.5, 20])
def test_a_tilted_gantry_is_refused_with_a_command_that_straightens_it(tmp_path: Path, write, degrees) -> None:
    """In 200 slices of 3 mm, half a degree moves the last slice by 5 mm."""
    shape, tilt = (24, 20, 40), np.tan(np.radians(degrees))
    tilted = np.array([[-0.8, 0, 0, 5], [0, 0.8, 3 * tilt, -7], [0, 0, 3, 11], [0, 0, 0, 1]])
    x, y, z = nib.affines.apply_affine(tilted, np.moveaxis(np.indices(shape), 0, -1)).transpose(3, 0, 1, 2)
    ball = (x + 4) ** 2 + (y - 2) ** 2 / 4 + (z - 60) ** 2 / 30
    path = write(tmp_path / "tilt ed.nii.gz", (100 - ball).clip(0).astype(np.int16), tilted)
    with pytest.raises(DataError, match="as of a CT with a tilted gantry") as caught:
        BTCV.prepare(CaseFiles("a", (path,)))
    command = caught.value.hint.splitlines()[-1].strip()
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    straight = nib.load(tmp_path / "straight_tilt ed.nii.gz")
    np.testing.assert_allclose(nib.affines.voxel_sizes(straight.affine), (0.8, 0.8, 3), rtol=1e-6)
    BTCV.prepare(CaseFiles("a", (tmp_path / "straight_tilt ed.nii.gz",)))
    found = nib.affines.apply_affine(straight.affine, ndimage.center_of_mass(straight.get_fdata()))
    expected = nib.affines.apply_affine(tilted, ndimage.center_of_mass((100 - ball).clip(0)))
    np.testing.assert_allclose(found, expected, atol=0.5)


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [45, 135])
def test_image_and_label_map_are_turned_alike(tmp_path: Path, write, spacing, axis: int, degrees: float) -> None:
    """At 45 degrees the rounding of two headers alone would turn them to different sides."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:15, 5:9, 2:6] = 1
    angles = np.zeros(3)
    angles[axis] = np.radians(degrees)
    for sign in (1, -1):
        turned = [np.eye(4), np.eye(4)]
        for affine, noise in zip(turned, (1e-6, -1e-6), strict=True):
            affine[:3, :3] = nib.eulerangles.euler2mat(*(angles + sign * noise))
        image = write(tmp_path / "a.nii", labels * np.int16(200), turned[0])
        files = CaseFiles("a", (image,), write(tmp_path / "l.nii", labels, turned[1]))
        prepared = replace(BTCV, scheme=TWO, spacing=spacing, window=(0.0, 200.0), crop=False).prepare(files)
        np.testing.assert_array_equal(prepared.image[0] > 0.5, prepared.label == 1)


def prepare_array(write, path: Path, data: np.ndarray, **settings: object):
    return replace(BTCV, spacing=None, **settings).prepare(CaseFiles("a", (write(path, data),)))


def test_percentiles_scale_any_unit(tmp_path: Path, write) -> None:
    data = np.random.default_rng(0).normal(5000, 100, SHAPE).astype(np.float32)
    data[:5] = 0
    prepared = prepare_array(write, tmp_path / "a.nii", data, normalize="percentile", window=None)
    low, high = np.percentile(data, (0.5, 99.5))
    assert prepared.image.shape == (1, SHAPE[0] - 5, *SHAPE[1:])  # cropped to what is above 0
    np.testing.assert_allclose(prepared.image[0], np.clip((data[5:] - low) / (high - low), 0, 1), atol=1e-3)


def test_zscore_leaves_the_background_at_zero(tmp_path: Path, write) -> None:
    data = np.random.default_rng(0).normal(5000, 100, SHAPE).astype(np.float32)
    data[:5] = 0
    image = prepare_array(write, tmp_path / "a.nii", data, normalize="zscore", window=None, crop=False).image
    assert (image[0, :5] == 0).all()
    np.testing.assert_allclose([image[0, 5:].mean(dtype=float), image[0, 5:].std(dtype=float)], (0, 1), atol=1e-3)


def test_channels_come_from_one_file_or_from_several(tmp_path: Path, write) -> None:
    data = np.random.default_rng(0).integers(1, 200, (*SHAPE, 2)).astype(np.int16)
    together = CaseFiles("a", (write(tmp_path / "a.nii", data),))
    apart = CaseFiles("a", tuple(write(tmp_path / f"a_{c:04d}.nii", data[..., c]) for c in range(2)))
    settings = replace(BTCV, channels=2, spacing=None)
    assert settings.prepare(together).image.shape == (2, *SHAPE)
    np.testing.assert_array_equal(settings.prepare(together).image, settings.prepare(apart).image)
    with pytest.raises(DataError, match=r"a\.nii has 2 channels, the data set declares 1"):
        BTCV.prepare(together)
    other = write(tmp_path / "b.nii", data[:-1, ..., 0])
    with pytest.raises(DataError, match="its further channel"):
        settings.prepare(CaseFiles("a", (apart.images[0], other)))


def test_images_without_content_are_refused(tmp_path: Path, write) -> None:
    constant = np.full(SHAPE, 40, np.int16)
    with pytest.raises(DataError, match="case a: channel 0 of the image is constant"):
        prepare_array(write, tmp_path / "a.nii", constant)
    constant[0, 0, 0] = 0
    with pytest.raises(DataError, match="nearly all voxels have the same value"):
        prepare_array(write, tmp_path / "a.nii", constant, normalize="percentile", window=None)
    air = np.random.default_rng(0).integers(-1024, -900, SHAPE).astype(np.int16)
    with pytest.raises(DataError, match=r"inside the window \(-175, 250\); its values range from -1024 to -901"):
        prepare_array(write, tmp_path / "a.nii", air)


def test_a_spacing_that_would_not_fit_into_memory_is_refused(files: CaseFiles) -> None:
    with pytest.raises(DataError, match=r"case a: at the spacing .* voxels"):
        replace(BTCV, spacing=(0.001, 0.001, 0.001)).prepare(files)


def test_labels_lost_by_resampling_are_noted(tmp_path: Path, write) -> None:
    image = write(tmp_path / "a.nii", np.random.default_rng(0).integers(0, 99, SHAPE, dtype=np.int16))
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:9, 4:9, 4:9] = 1
    labels[11, 11, 7] = 2
    files = CaseFiles("a", (image,), write(tmp_path / "l.nii", labels))
    assert replace(BTCV, spacing=(4, 4, 4)).prepare(files).notes == ("its label 2 vanishes at this spacing",)
    write(tmp_path / "l.nii", np.zeros(SHAPE, np.uint8))
    assert BTCV.prepare(files).notes == ("its label map is empty",)


def test_a_label_map_on_another_grid_is_refused(tmp_path: Path, write, files: CaseFiles) -> None:
    mirrored = write(tmp_path / "m.nii", np.zeros(SHAPE, np.uint8), ODD @ np.diag([-1, 1, 1, 1]))
    with pytest.raises(DataError, match="case a: image and label map do not lie on one another"):
        BTCV.prepare(replace(files, label=mirrored))
    short = write(tmp_path / "s.nii", np.zeros((21, 18, 10), np.uint8), ODD)
    with pytest.raises(DataError, match=r"shape \(21, 18, 11\), its label map \(21, 18, 10\)"):
        BTCV.prepare(replace(files, label=short))
