"""Each kind of header that people's files have: read right, refused by name, or noted."""

import gzip
import struct
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.formats.nifti_space import Space
from medvid.errors import DataError

FORMATS = shipped_formats()
AFFINE = np.array([[-0.7, 0, 0, 90.0], [0, 0, 2.5, -120], [0, 0.8, 0, 40], [0, 0, 0, 1]])
SHAPE = (9, 8, 7)
VOXELS = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)

SFORM_CODE, QFORM_CODE, QUATERNION, SROW = (254, "<h"), (252, "<h"), (256, "<3f"), (280, "<12f")
QFAC, PIXDIM, SCALING, UNITS, MAGIC, OFFSET = (
    (76, "<f"),
    (80, "<3f"),
    (112, "<2f"),
    (123, "B"),
    (344, "4s"),
    (108, "<f"),
)
NAN, INF = float("nan"), float("inf")

Patch = tuple[tuple[int, str], tuple]


def patched(path: Path, *patches: Patch, data: np.ndarray = VOXELS) -> Path:
    """A file whose sform and qform agree, with fields of its NIfTI-1 header overwritten."""
    image = nib.Nifti1Image(data, AFFINE)
    image.set_qform(AFFINE, 1)
    content = bytearray(image.to_bytes())
    for (position, form), values in patches:
        content[position : position + struct.calcsize(form)] = struct.pack(form, *values)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


NO_SFORM, NO_QFORM = (SFORM_CODE, (0,)), (QFORM_CODE, (0,))
# Half a turn about an axis, by a quaternion whose squared length is 5e-7 more than 1.
TOO_LONG = (QUATERNION, (0.0, 0.70710696, 0.70710696))
HALF_TURN = nib.quaternions.quat2mat([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("patches", "note"),
    [
        ([], None),
        ([NO_SFORM], None),
        ([NO_QFORM], None),
        ([(QFAC, (0.0,))], None),
        ([(QFAC, (0.0,)), NO_SFORM], None),
        ([(SFORM_CODE, (4,)), (QFORM_CODE, (5,))], None),
        ([(QUATERNION, (3.0, 0.0, 0.0))], "a qform that cannot be used (its quaternion has the length 3, not 1)"),
        ([(QUATERNION, (NAN, 0.0, 0.0))], "a qform that cannot be used (it has values that are not finite)"),
        ([(QFORM_CODE, (9,))], "a qform that cannot be used (its code is 9"),
        ([(SFORM_CODE, (-1,))], "an sform that cannot be used (its code is -1"),
        ([(SROW, (0.0,) * 12)], "an sform that cannot be used (it is singular"),
        ([(SROW, (NAN,) * 12)], "an sform that cannot be used (it is singular"),
        ([(PIXDIM, (-0.7, 0.8, 2.5))], "a qform that cannot be used (the voxel size is -0.7 x 0.8 x 2.5)"),
        ([(PIXDIM, (0.0, 0.8, 2.5))], "a qform that cannot be used (the voxel size is 0 x 0.8 x 2.5)"),
        ([(PIXDIM, (2.0, 2.0, 2.0)), NO_QFORM], "a pixdim 2 x 2 x 2 that its sform contradicts"),
        ([TOO_LONG], None),
    ],
)
def test_one_usable_form_is_enough_and_what_the_other_says_is_noted(tmp_path, patches, note) -> None:
    volume = reading.read(FORMATS, patched(tmp_path / "a.nii.gz", *patches), "a")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    np.testing.assert_array_equal(volume.data, VOXELS)
    assert len(volume.notes) == (note is not None)
    assert note is None or note in volume.notes[0]


def test_a_quaternion_that_rounding_made_too_long_is_a_rotation(tmp_path: Path) -> None:
    volume = reading.read(FORMATS, patched(tmp_path / "a.nii", TOO_LONG, NO_SFORM, (QFAC, (1.0,))), "a")
    np.testing.assert_allclose(volume.affine[:3, :3], HALF_TURN * (0.7, 0.8, 2.5), atol=1e-6)


@pytest.mark.parametrize("patches", [[NO_SFORM], [NO_SFORM, NO_QFORM]])
def test_voxel_sizes_of_zero_are_noted(tmp_path: Path, patches: list[Patch]) -> None:
    volume = reading.read(FORMATS, patched(tmp_path / "a.nii", *patches, (PIXDIM, (0.7, 0.0, 2.5))), "a")
    np.testing.assert_allclose(volume.geometry.spacing, (0.7, 1, 2.5), atol=1e-6)
    assert "gives no voxel size on axis 1 (pixdim 0); 1 is used" in volume.notes


@pytest.mark.parametrize(
    ("patches", "words"),
    [
        ([NO_SFORM, (QUATERNION, (3.0, 0.0, 0.0))], "its quaternion has the length 3, not 1"),
        ([NO_SFORM, (PIXDIM, (0.7, 0.8, -2.5))], "the voxel size is 0.7 x 0.8 x -2.5"),
        ([NO_SFORM, (QFAC, (0.3,))], "its qfac is 0.3"),
        ([NO_SFORM, NO_QFORM, (PIXDIM, (NAN, 0.8, 2.5))], "has the voxel size nan x 0.8 x 2.5"),
        ([(SROW, (0.0,) * 12), NO_QFORM], "it is singular"),
        ([(SFORM_CODE, (-1,)), (QFORM_CODE, (9,))], "its code is 9"),
        ([(UNITS, (7,))], "in the unit 7"),
        ([(SCALING, (INF, 0.0))], "has the scaling inf x + 0"),
        ([(SCALING, (1.0, NAN))], "has the scaling 1 x + nan"),
        ([(OFFSET, (0.0,))], "begin at byte 0"),
        ([(OFFSET, (NAN,))], "begin at byte nan"),
        ([(OFFSET, (INF,))], "begin at byte inf"),
        ([(MAGIC, (b"ni1\0",)), (OFFSET, (0.0,))], "the header of a .hdr"),
        ([(MAGIC, (b"\0\0\0\0",)), (OFFSET, (0.0,))], "is an Analyze 7.5 file"),
        ([((68, "<h"), (3006,))], "holds CIFTI"),
        ([((68, "<h"), (1009,))], "holds triangles"),
        ([((70, "<h"), (1,))], "of an unknown type (datatype 1)"),
        ([((40, "<h"), (9,))], "declares 9 axes"),
        ([((40, "<h"), (0,))], "declares 0 axes"),
    ],
)
def test_headers_that_make_no_sense_are_refused_by_name(tmp_path: Path, patches: list[Patch], words: str) -> None:
    path = patched(tmp_path / "a.nii", *patches)
    with pytest.raises(DataError) as caught:
        reading.read(FORMATS, path, "img0003")
    assert f"case img0003: {path} " in str(caught.value)
    assert words in str(caught.value)


def test_analyze_pairs_under_the_name_of_nifti(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(VOXELS, None), tmp_path / "a.hdr")
    header, voxels = (tmp_path / f"a.{ending}" for ending in ("hdr", "img"))
    joined = tmp_path / "b.nii"
    joined.write_bytes(header.read_bytes() + voxels.read_bytes())
    for path in (header.rename(tmp_path / "a.nii"), joined):
        with pytest.raises(DataError, match=r"is an Analyze 7\.5 file, not NIfTI"):
            reading.read(FORMATS, path, "a")


@pytest.mark.parametrize(
    ("unit", "factor", "note"), [(0, 1, False), (1, 1000, True), (2, 1, False), (3, 0.001, True), (10, 1, False)]
)
def test_lengths_are_converted_to_millimetres(tmp_path: Path, unit: int, factor: float, note: bool) -> None:
    volume = reading.read(FORMATS, patched(tmp_path / "a.nii", (UNITS, (unit,))), "a")
    np.testing.assert_allclose(volume.geometry.spacing, np.multiply((0.7, 0.8, 2.5), factor), rtol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 3], np.multiply((90, -120, 40), factor), rtol=1e-6)
    assert [("check its unit" in text) for text in volume.notes] == [True] * note


@pytest.mark.parametrize("slope", [0.0, NAN, 1.0])
def test_voxels_are_as_stored_without_a_slope(tmp_path: Path, slope: float) -> None:
    data = reading.read(
        FORMATS, patched(tmp_path / "a.nii", (SCALING, (slope, 0.0)), ((124, "<2f"), (1.0, 0.5))), "a"
    ).data
    np.testing.assert_array_equal(data, VOXELS)


def test_extensions_of_any_length_are_skipped(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("afni", b"<AFNI_attributes/>" * 500))
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(reading.read(FORMATS, tmp_path / "a.nii.gz", "a").data, VOXELS)


def test_gzip_of_several_members(tmp_path: Path) -> None:
    content = patched(tmp_path / "a.nii").read_bytes()
    members = b"".join(gzip.compress(part) for part in (content[:100], content[100:500], content[500:]))
    (tmp_path / "b.nii.gz").write_bytes(members + bytes(512))  # padded, as by some archives
    np.testing.assert_array_equal(reading.read(FORMATS, tmp_path / "b.nii.gz", "b").data, VOXELS)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_any_type_and_byte_order_of_labels(tmp_path: Path, kind: str, order: str) -> None:
    labels = (VOXELS % 14).astype(kind)
    image = nib.Nifti2Image(labels, AFFINE, nib.Nifti2Header(endianness=order), dtype=labels.dtype)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(reading.read_labels(FORMATS, tmp_path / "a.nii", "a", 14).data, labels)


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    path = patched(tmp_path / "a.nii", data=VOXELS * 1e300)
    with pytest.raises(DataError, match="beyond float32"):
        reading.read(FORMATS, path, "a")


def stored(path: Path, labels: np.ndarray, kind: type, scaling: tuple[float, float] | None = None) -> Path:
    """Labels as integers under a scaling, else as floats, which nibabel scales to the integers of a type."""
    image = nib.Nifti1Image(labels.astype(kind if scaling else np.float64), AFFINE)
    image.set_data_dtype(kind)
    if scaling:
        image.header.set_slope_inter(*scaling)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("labels", [2, 4, 14, 60])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_labels_that_a_program_scaled_are_what_they_were(tmp_path: Path, kind: type, labels: int) -> None:
    expected = VOXELS % labels
    step = (labels - 1) / np.iinfo(np.uint8).max
    path = stored(tmp_path / "a.nii.gz", expected, kind)
    if kind is np.uint8 and step > 0.1:
        with pytest.raises(DataError, match="non-integer values"):
            reading.read_labels(FORMATS, path, "a", labels)
        return
    volume = reading.read_labels(FORMATS, path, "a", labels)
    np.testing.assert_array_equal(volume.data, expected)
    off = np.abs(np.asanyarray(nib.load(path).dataobj) - expected).max()
    assert any("by its scaling; they are rounded" in note for note in volume.notes) == (off > 1e-4)


@pytest.mark.parametrize("slope", [0.5, 0.1, 1 / 255, 1.5])
def test_fractions_are_refused_whatever_the_slope(tmp_path: Path, slope: float) -> None:
    path = stored(tmp_path / "a.nii", VOXELS % 3, np.int16, (slope, 0))
    with pytest.raises(DataError, match="non-integer values"):
        reading.read_labels(FORMATS, path, "a", 5)


def test_a_slope_of_a_third_of_a_colour_range(tmp_path: Path) -> None:
    """0, 85, 170 and 255 with the slope 3/255 in float32 are 0 to 3 but for rounding."""
    path = stored(tmp_path / "a.nii", VOXELS % 4 * 85, np.uint8, (3 / 255, 0))
    np.testing.assert_array_equal(reading.read_labels(FORMATS, path, "a", 4).data, VOXELS % 4)


@pytest.mark.parametrize("unit", ["micron", "meter", "mm"])
def test_a_mask_without_a_unit_has_its_scans(tmp_path: Path, unit: str) -> None:
    scan = nib.Nifti1Image(VOXELS, AFFINE)
    scan.header.set_xyzt_units(unit)
    nib.save(scan, tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(VOXELS % 2, scan.affine), tmp_path / "m.nii")
    image, mask = reading.read(FORMATS, tmp_path / "a.nii", "a"), reading.read(FORMATS, tmp_path / "m.nii", "a")
    np.testing.assert_array_equal(reading.align(image, mask, "a", "label map").affine, image.affine)
    other = nib.Nifti1Image(VOXELS % 2, AFFINE)
    other.header.set_xyzt_units("mm" if unit != "mm" else "micron")
    nib.save(other, tmp_path / "o.nii")
    with pytest.raises(DataError, match="do not lie on one another"):
        reading.align(image, reading.read(FORMATS, tmp_path / "o.nii", "a"), "a", "label map")


@pytest.mark.parametrize("change", [lambda p: p, lambda p: p.with_suffix(".nii")])
def test_geometry_is_read_from_the_header_alone(tmp_path: Path, change: Callable[[Path], Path]) -> None:
    path = patched(change(tmp_path / "a.nii.gz"), (UNITS, (3,)), data=VOXELS[..., None])
    geometry = reading.read_geometry(FORMATS, path, "a")
    assert geometry.shape == SHAPE
    assert geometry.as_json() == reading.read(FORMATS, path, "a").geometry.as_json()
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match="an HTML page"):
        reading.read_geometry(FORMATS, path, "a")


def test_nibabels_own_files_are_read_as_nibabel_reads_them_or_refused() -> None:
    """Its test files hold what real programs wrote; those that are refused are named here."""
    refused = {}
    for path in sorted(Path(str(files("nibabel"))).rglob("*.nii*")):
        try:
            volume = reading.read(FORMATS, path, path.name)
        except DataError as error:
            refused[path.name] = str(error)
            continue
        image = nib.load(path)
        np.testing.assert_array_equal(volume.data.squeeze(), np.asanyarray(image.dataobj).squeeze())
        np.testing.assert_allclose(volume.affine, image.affine, atol=1e-4)
    assert set(refused) == {"resampled_anat_moved.nii", "row_major.dconn.nii"}
    assert "153 voxels that are NaN" in refused["resampled_anat_moved.nii"]
    assert "holds CIFTI" in refused["row_major.dconn.nii"]


@pytest.mark.parametrize("header", [nib.Nifti1Header, nib.Nifti2Header])
def test_the_qform_is_nibabels(header: type) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        fields = header()
        affine = np.eye(4)
        affine[:3, :3] = nib.eulerangles.euler2mat(*random.uniform(-4, 4, 3)) * random.uniform(0.3, 5, 3)
        affine[:3, :3] *= random.choice((1, -1), 3)
        affine[:3, 3] = random.uniform(-300, 300, 3)
        fields.set_data_shape(SHAPE)
        fields.set_qform(affine, 1)
        np.testing.assert_allclose(Space.read(fields).affine(SHAPE)[0], fields.get_qform(), rtol=1e-12, atol=1e-12)
