"""TIFF stacks and Analyze: what they say of voxel sizes, what is assumed, and what is refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from medvid.data.volumes.formats.analyze import Analyze
from medvid.data.volumes.formats.format import Geometry, LabelMap, UnusableError
from medvid.data.volumes.formats.options import AnalyzeOptions, TiffOptions
from medvid.data.volumes.formats.tiff import Tiff

TIFF, ANALYZE = Tiff(TiffOptions()), Analyze(AnalyzeOptions())
PLANES = np.random.default_rng(0).integers(0, 999, (4, 5, 6)).astype(np.uint16)  # (Z, Y, X)


@pytest.mark.parametrize(("unit", "millimetres"), [("um", 1e-3), ("\\u00B5m", 1e-3), ("mm", 1.0), ("pixel", None)])
def test_voxel_sizes_of_imagej(tmp_path: Path, unit: str, millimetres: float | None) -> None:
    about = {"axes": "ZYX", "spacing": 1.5, "unit": unit}
    tifffile.imwrite(tmp_path / "a.tif", PLANES, imagej=True, resolution=(4, 5), metadata=about)
    volume = TIFF.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.data, PLANES.transpose(2, 1, 0))
    expected = (1, 1, 1) if millimetres is None else np.multiply((0.25, 0.2, 1.5), millimetres)
    np.testing.assert_allclose(volume.geometry.spacing, expected)
    assert (volume.geometry.millimetres is None) == (millimetres is None)


def test_voxel_sizes_of_ome(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 2, "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANES, metadata=about)
    np.testing.assert_allclose(TIFF.read(tmp_path / "a.ome.tif").geometry.spacing, (0.25e-3, 0.2e-3, 2))


@pytest.mark.parametrize(
    ("axes", "shape", "found"),
    [("ZCYX", (4, 2, 5, 6), (6, 5, 4, 2)), ("CZYX", (2, 4, 5, 6), (6, 5, 4, 2)), ("YX", (5, 6), (6, 5, 1)),
     ("TZYX", (1, 4, 5, 6), (6, 5, 4))],
)  # fmt: skip
def test_axes_in_any_order(tmp_path: Path, axes: str, shape: tuple[int, ...], found: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": axes}, photometric="minisblack")
    volume = TIFF.read(tmp_path / "a.ome.tif")
    assert volume.data.shape == found
    wanted = [axes.index(axis) for axis in "XYZC" if axis in axes]
    squeezed = data.transpose(*wanted, *(n for n in range(data.ndim) if n not in wanted)).squeeze()
    np.testing.assert_array_equal(volume.data.squeeze(), squeezed)


def test_times_colours_and_several_series_are_not_one_volume(tmp_path: Path) -> None:
    times = np.zeros((3, 4, 5, 6), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", times, metadata={"axes": "TZYX"})
    with pytest.raises(UnusableError, match="has the axes T 3, Z 4"):
        TIFF.read(tmp_path / "a.ome.tif")
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for size in (5, 6):
            file.write(np.zeros((size, size), np.uint8))
    with pytest.raises(UnusableError, match="2 series of images"):
        TIFF.read(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((4, 4), np.complex64))
    with pytest.raises(UnusableError, match="stores complex64"):
        TIFF.read(tmp_path / "c.tif")


def test_a_truncated_stack_is_not_a_shorter_one(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane in PLANES:
            file.write(plane, contiguous=False)
    content = (tmp_path / "a.tif").read_bytes()
    for end in range(20, len(content), 16):
        (tmp_path / "b.tif").write_bytes(content[:end])
        with pytest.raises(UnusableError):
            TIFF.read(tmp_path / "b.tif")


def test_a_grid_in_a_body_cannot_be_a_tiff(tmp_path: Path) -> None:
    turned = Geometry((2, 2, 2), np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(UnusableError, match="place in a body"):
        TIFF.write(tmp_path / "a.tif", LabelMap(np.zeros((2, 2, 2), np.uint8), turned))


def test_analyze_is_read_as_nibabel_does_and_says_so(tmp_path: Path) -> None:
    voxels = PLANES.astype(np.int16)
    nib.AnalyzeImage(voxels, np.diag([-0.7, 0.9, 2.1, 1])).to_filename(tmp_path / "a.img")
    volume = ANALYZE.read(tmp_path / "a.img")
    np.testing.assert_array_equal(volume.data, voxels)
    np.testing.assert_allclose(volume.affine, nib.load(tmp_path / "a.img").affine)
    assert "does not say where left and right are" in volume.notes[0]
    assert [path.name for path in ANALYZE.files(tmp_path / "a.img")] == ["a.img", "a.hdr"]


def test_spms_scale_and_orientation_count(tmp_path: Path) -> None:
    affine = np.array([[-2.0, 0, 0, 30], [0, 0, 2, -20], [0, 3, 0, 10], [0, 0, 0, 1]])
    image = nib.Spm99AnalyzeImage(PLANES.astype(np.float32), affine)
    image.set_data_dtype(np.int16)
    image.header.set_slope_inter(0.5)
    image.to_filename(tmp_path / "a.img")
    volume = ANALYZE.read(tmp_path / "a.img")
    np.testing.assert_allclose(volume.data, nib.load(tmp_path / "a.img").get_fdata())
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert volume.notes == ()


def test_an_image_without_its_header_or_of_nifti_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(b"1234")
    with pytest.raises(UnusableError, match=r"lacks its header, a\.hdr"):
        ANALYZE.read(tmp_path / "a.img")
    nib.Nifti1Pair(PLANES.astype(np.int16), np.eye(4)).to_filename(tmp_path / "b.img")
    with pytest.raises(UnusableError, match="NIfTI pair"):
        ANALYZE.read(tmp_path / "b.img")
