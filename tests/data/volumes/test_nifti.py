import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.formats.format import Geometry, LabelMap, Volume
from medvid.errors import DataError

FORMATS = shipped_formats()
AFFINE = np.array([[-0.7, 0, 0, 90.0], [0, 0, 2.5, -120], [0, 0.8, 0, 40], [0, 0, 0, 1]])
SHAPE = (9, 8, 7)


def voxels(dtype: type = np.int16) -> np.ndarray:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


def refuse(path: Path, *words: str) -> DataError:
    with pytest.raises(DataError) as caught:
        reading.read(FORMATS, path, "img0003")
    for word in ("case img0003", str(path), *words):
        assert word in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize("header", [nib.Nifti1Image, nib.Nifti2Image])
def test_reads_what_nibabel_reads(tmp_path: Path, name: str, header: type) -> None:
    nib.save(header(voxels(), AFFINE), tmp_path / name)
    volume = reading.read(FORMATS, tmp_path / name, "a")
    np.testing.assert_array_equal(volume.data, voxels())
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    np.testing.assert_allclose(volume.geometry.spacing, (0.7, 0.8, 2.5), atol=1e-6)
    assert volume.notes == ()


def test_applies_scaling_and_byte_order(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(np.float32), AFFINE, nib.Nifti1Header(endianness=">"))
    image.set_data_dtype(np.int16)
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(
        reading.read(FORMATS, tmp_path / "a.nii", "a").data, nib.load(tmp_path / "a.nii").get_fdata()
    )


def test_drops_further_axes_of_length_one(tmp_path: Path, write) -> None:
    assert reading.read(FORMATS, write(tmp_path / "a.nii", voxels()[..., None]), "a").data.shape == SHAPE
    channels = np.stack([voxels(), voxels()], axis=3)
    assert reading.read(FORMATS, write(tmp_path / "b.nii", channels[..., None, :]), "b").data.shape == (*SHAPE, 2)


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    refuse(tmp_path / "a.nii.gz", "does not exist")
    (tmp_path / "b.nii.gz").mkdir()
    refuse(tmp_path / "b.nii.gz", "cannot be read")
    (tmp_path / "c.nii.gz").touch()
    assert "again" in refuse(tmp_path / "c.nii.gz", "empty").hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "an HTML page"),
        (b"\n <html><body>404</body></html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"plain text of someone", "is not gzip-compressed"),
        (gzip.compress(b"not a volume, but compressed", mtime=0), "is not a NIfTI file"),
    ],
)
def test_other_content_under_the_name_of_a_volume(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    refuse(tmp_path / "a.nii.gz", words)


def test_compressed_file_named_nii(tmp_path: Path, write) -> None:
    compressed = write(tmp_path / "a.nii.gz", voxels())
    compressed.rename(tmp_path / "a.nii")
    refuse(tmp_path / "a.nii", "is gzip-compressed, but not named .nii.gz")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_truncated(tmp_path: Path, write, name: str, share: float) -> None:
    path = write(tmp_path / name, np.random.default_rng(0).integers(0, 999, (20, 20, 20), dtype=np.int16))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    expected = 352 + 20**3 * 2
    error = refuse(path, "truncated", f"of {expected} bytes")
    got = int(str(error).split("got ")[1].split()[0])
    assert 0.2 * share * expected < got < expected


def test_missing_checksum_of_gzip_is_noticed(tmp_path: Path, write) -> None:
    path = write(tmp_path / "a.nii.gz", voxels())
    path.write_bytes(path.read_bytes()[:-8])
    refuse(path, "its checksum is missing")


def test_every_flipped_bit_of_a_gzip_is_noticed(tmp_path: Path, write) -> None:
    """Nibabel stops before the checksum, and returns other voxels without a word."""
    path = write(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, SHAPE, dtype=np.int16))
    content = path.read_bytes()
    header = 10  # gzip's own: time stamp and system, which nothing depends on
    for position in np.random.default_rng(1).integers(header, len(content), 100):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            reading.read(FORMATS, path, "a")


def patch_shape(path: Path, *dims: int) -> Path:
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    content[42 : 42 + 2 * len(dims)] = struct.pack(f"<{len(dims)}h", *dims)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_header_bomb_is_refused_before_anything_is_allocated(tmp_path: Path, write) -> None:
    refuse(patch_shape(write(tmp_path / "a.nii.gz", voxels()), 32000, 32000, 32000), "(32000, 32000, 32000)")
    refuse(patch_shape(write(tmp_path / "b.nii.gz", voxels()), 1000, 1000, 1000), "far too small for the shape")
    refuse(patch_shape(write(tmp_path / "c.nii", voxels()), 1000, 1000, 1000), "truncated")
    refuse(patch_shape(write(tmp_path / "d.nii", voxels()), 0, 8, 7), "(0, 8, 7)")


def test_nonsense_in_the_header(tmp_path: Path, write) -> None:
    path = write(tmp_path / "a.nii", voxels())
    content = bytearray(path.read_bytes())
    content[70:72] = struct.pack("<h", 999)  # datatype
    path.write_bytes(content)
    refuse(path, "header")


def test_any_header_is_read_or_refused(tmp_path: Path, write) -> None:
    path, random = write(tmp_path / "a.nii", voxels()), np.random.default_rng(0)
    content, outcomes = path.read_bytes(), set()
    for _ in range(500):
        damaged = bytearray(content)
        for position in random.integers(0, 352, random.integers(1, 6)):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        try:
            reading.read(FORMATS, path, "a")
            outcomes.add("read")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_colours_and_complex_numbers(tmp_path: Path, write) -> None:
    refuse(write(tmp_path / "a.nii", np.zeros(SHAPE, np.complex64)), "stores complex numbers")
    rgb = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    refuse(write(tmp_path / "b.nii", rgb), "stores colours")


def test_other_numbers_of_axes(tmp_path: Path, write) -> None:
    refuse(write(tmp_path / "a.nii", np.zeros(5, np.int16)), "(5,)")
    refuse(write(tmp_path / "b.nii", np.zeros((5, 6, 7, 2, 3), np.int16)), "(5, 6, 7, 2, 3)")


def test_singular_affine(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE)
    image.header["srow_x"] = image.header["srow_y"]
    nib.save(nib.Nifti1Image(voxels(), None, image.header), tmp_path / "a.nii")
    refuse(tmp_path / "a.nii", "an sform that cannot be used (it is singular")


def test_no_orientation_is_noted_and_the_affine_is_nibabels(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), None)
    image.header.set_zooms((1, 2, 3))
    nib.save(image, tmp_path / "a.nii")
    volume = reading.read(FORMATS, tmp_path / "a.nii", "a")
    assert (volume.geometry.header["sform_code"], volume.geometry.header["qform_code"]) == (0, 0)
    assert "no orientation" in volume.notes[0]
    np.testing.assert_allclose(volume.affine, nib.load(tmp_path / "a.nii").affine)


def test_disagreeing_qform_is_noted_and_the_sform_is_used(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE)
    moved = AFFINE.copy()
    moved[:3, 3] += 5
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "a.nii")
    volume = reading.read(FORMATS, tmp_path / "a.nii", "a")
    assert "disagree" in volume.notes[0]
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite(tmp_path: Path, write, value: float) -> None:
    data = voxels(np.float32)
    data[0, 0, :3] = value
    refuse(write(tmp_path / "a.nii.gz", data), "3 voxels that are NaN or infinite")


def test_labels_may_be_floats_with_integral_values(tmp_path: Path, write) -> None:
    labels = voxels() % 14
    volume = reading.read_labels(FORMATS, write(tmp_path / "a.nii", labels.astype(np.float32)), "a", 14)
    assert volume.data.dtype == np.uint8
    np.testing.assert_array_equal(volume.data, labels)


def test_label_out_of_range(tmp_path: Path, write) -> None:
    labels = np.zeros(SHAPE, np.int16)
    labels[:3, :2, :2] = 14
    path = write(tmp_path / "a.nii.gz", labels)
    with pytest.raises(DataError, match=r"case img0003 has label 14 \(12 voxels\); the data set declares 0\.\.13"):
        reading.read_labels(FORMATS, path, "img0003", 14)
    labels[0, 0, 0] = -1
    with pytest.raises(DataError, match=r"label -1 \(1 voxel\), 14 \(11 voxels\)"):
        reading.read_labels(FORMATS, write(path, labels), "img0003", 14)


def test_labels_that_are_not_integers(tmp_path: Path, write) -> None:
    labels = np.zeros(SHAPE, np.float32)
    labels[4, 4, 4] = 0.5
    with pytest.raises(DataError, match=r"non-integer values, e\.g\. 0\.5"):
        reading.read_labels(FORMATS, write(tmp_path / "a.nii.gz", labels), "a", 2)
    image = nib.Nifti1Image(voxels() % 2, AFFINE)
    image.header.set_slope_inter(0.5, 0)
    nib.save(image, tmp_path / "b.nii")
    with pytest.raises(DataError, match="non-integer values"):
        reading.read_labels(FORMATS, tmp_path / "b.nii", "b", 2)


def test_label_maps_have_three_axes(tmp_path: Path, write) -> None:
    with pytest.raises(DataError, match="three axes"):
        reading.read_labels(FORMATS, write(tmp_path / "a.nii.gz", np.zeros((4, 4, 4, 2), np.uint8)), "a", 2)


def volume_with(affine: np.ndarray, shape: tuple[int, ...] = SHAPE) -> Volume:
    return Volume(np.zeros(shape), Geometry(shape, affine, None))


def test_shapes_have_to_agree() -> None:
    with pytest.raises(DataError, match=r"shape \(9, 8, 7\), its label map \(9, 8, 6\)"):
        reading.align(volume_with(AFFINE), volume_with(AFFINE, (9, 8, 6)), "a", "label map")


def test_affines_have_to_agree() -> None:
    reading.align(volume_with(AFFINE), volume_with(AFFINE + 1e-4), "a", "label map")
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    with pytest.raises(DataError, match=r"case a: image and label map do not lie on one another.*\(LSA\).*\(RSA\)"):
        reading.align(volume_with(AFFINE), volume_with(mirrored), "a", "label map")
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.35  # half a voxel
    with pytest.raises(DataError, match="do not lie on one another"):
        reading.align(volume_with(AFFINE), volume_with(shifted), "a", "label map")


@pytest.mark.parametrize("header", [nib.Nifti1Image, nib.Nifti2Image])
def test_written_labels_lie_where_the_scan_lies(tmp_path: Path, header: type) -> None:
    scan = header(voxels(), AFFINE)
    elsewhere = AFFINE.copy()
    elsewhere[:3, 3] += 29
    scan.set_sform(AFFINE, 4)
    scan.set_qform(elsewhere, 1)
    scan.header.set_xyzt_units("micron", "msec")
    nib.save(scan, tmp_path / "a.nii")
    labels = (voxels() % 14).astype(np.int64)
    geometry = reading.read(FORMATS, tmp_path / "a.nii", "a").geometry
    path = reading.write_labels(FORMATS, tmp_path / "new", "a", LabelMap(labels, geometry))
    written = nib.load(path)
    assert type(written) is header
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels)
    for form in ("get_sform", "get_qform"):
        matrix, code = getattr(written, form)(coded=True)
        expected, expected_code = getattr(scan, form)(coded=True)
        np.testing.assert_array_equal(matrix, expected)
        assert code == expected_code
    assert written.header.get_xyzt_units() == ("micron", "msec")
    assert [file.name for file in path.parent.iterdir()] == ["a.nii.gz"]


def test_nothing_of_the_inputs_free_text_is_written(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE)
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        image.header[field] = b"DOE^JANE"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"DOE^JANE 1961-02-03"))
    nib.save(image, tmp_path / "a.nii.gz")
    volume = reading.read(FORMATS, tmp_path / "a.nii.gz", "a")
    np.testing.assert_array_equal(volume.data, voxels())
    reading.write_labels(FORMATS, tmp_path, "b", LabelMap(np.zeros(SHAPE), volume.geometry))
    assert b"DOE" not in gzip.decompress((tmp_path / "b.nii.gz").read_bytes())
