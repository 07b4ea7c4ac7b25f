"""A DICOM series as array and affine, whatever its files are called; what is not one regular volume is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file, get_testdata_files
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGLSLossless
from scipy.spatial.transform import Rotation
from tests.datasets.dicom_files import write_series, write_slice

from medvid.data.volumes.formats.format import UnusableError
from medvid_dicom.volume import read_place, read_scan


@settings(max_examples=12)
@given(
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 3)] * 2),
    step=st.floats(0.5, 6),
    tilt=st.floats(-0.4, 0.4),
    down=st.booleans(),
)
def test_each_voxel_lies_where_the_tags_of_its_file_say(tmp_path_factory, turn, spacing, step, tilt, down):
    folder = tmp_path_factory.mktemp("series")
    x, y, normal = Rotation.from_euler("xyz", turn, degrees=True).as_matrix().T
    along = (normal + tilt * y) * step * (-1 if down else 1)
    orientation = [f"{value:.12f}" for value in (*x, *y)]
    pixel_spacing = [f"{value:.8f}" for value in spacing]
    values = write_series(
        folder, (4, 3, 5), step=tuple(along), ImageOrientationPatient=orientation, PixelSpacing=pixel_spacing
    )
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.data, values[..., ::-1] if down else values)
    for index in np.ndindex(4, 3, 5):
        column, row, number = index
        lps = np.array([-40, -20, -100]) + x * spacing[1] * column + y * spacing[0] * row + along * number
        found = scan.place.affine @ [column, row, 4 - number if down else number, 1]
        np.testing.assert_allclose(found[:3], lps * (-1, -1, 1), atol=1e-5)


def test_a_tilted_gantry_is_said_and_its_affine_stays_sheared(tmp_path):
    write_series(tmp_path, step=(0, 1.2941, 4.8296))
    place = read_place(tmp_path)
    assert place.notes == ("was taken with a tilted gantry: its slices are offset by 15 degrees, its axes sheared",)
    np.testing.assert_allclose(place.affine[:3, 2], (0, -1.2941, 4.8296), atol=1e-6)


@pytest.mark.parametrize(
    ("skip", "said"),
    [
        ((3,), r"it is 5 mm, where 2.5 mm is usual \(1 slice missing\)"),
        ((2, 3), r"from slice 1 at .* to slice 2 at .* it is 7.5 mm, where 2.5 mm is usual \(2 slices missing\)"),
    ],
)
def test_missing_slices_are_named(tmp_path, skip, said):
    write_series(tmp_path, (4, 3, 9), skip=skip)
    with pytest.raises(UnusableError, match=said):
        read_place(tmp_path)


def test_steps_that_differ_slightly_can_be_allowed(tmp_path):
    for index, place in enumerate((0, 2.5, 5.1, 7.5)):
        write_slice(tmp_path / str(index), np.zeros((3, 4), np.int16), np.array([0, 0, place]))
    with pytest.raises(UnusableError, match="not evenly spaced") as caught:
        read_place(tmp_path)
    assert "tolerance" in caught.value.hint
    assert read_place(tmp_path, tolerance=0.05).affine[2, 2] == pytest.approx(2.5)


def test_of_several_series_one_has_to_be_chosen(tmp_path):
    first = write_series(tmp_path, (4, 3, 5), SeriesDescription="T1 ax")
    second = write_series(
        tmp_path, (4, 3, 4), seed=1, SeriesInstanceUID="1.2.3", SeriesNumber=2, SeriesDescription="T2 ax"
    )
    write_slice(  # a localiser in the first series
        tmp_path / "loc", np.zeros((6, 4), np.int16), np.zeros(3), ImageOrientationPatient=[0, 1, 0, 0, 0, -1]
    )
    with pytest.raises(UnusableError, match="has 2 series or volumes:") as caught:
        read_place(tmp_path)
    assert "\n  SeriesNumber 2, SeriesDescription T2 ax: 4 of 3 x 4" in str(caught.value)
    for choice in ("1.2.3", "T2*", {"SeriesNumber": 2}):
        np.testing.assert_array_equal(read_scan(tmp_path, choice).data, second)
    chosen = read_scan(tmp_path, "largest")
    np.testing.assert_array_equal(chosen.data, first)
    assert "SeriesDescription T2 ax" in chosen.notes[-1]
    with pytest.raises(UnusableError, match="has no series FLAIR, but"):
        read_place(tmp_path, "FLAIR")


def test_volumes_at_the_same_places_are_told_apart(tmp_path):
    values = [write_series(tmp_path, (4, 3, 5), seed=number, AcquisitionNumber=number) for number in (1, 2)]
    with pytest.raises(UnusableError, match="AcquisitionNumber 1: 5 of 3 x 4"):
        read_place(tmp_path)
    np.testing.assert_array_equal(read_scan(tmp_path, {"AcquisitionNumber": 2}).data, values[1])


def test_places_taken_twice_by_equal_tags_are_refused(tmp_path):
    for seed in (1, 2):
        write_series(tmp_path, (4, 3, 5), seed=seed, InstanceNumber=seed)
    with pytest.raises(UnusableError, match="5 places with more than one slice"):
        read_place(tmp_path)


def test_copies_and_strangers_are_left_out_aloud(tmp_path):
    values = write_series(tmp_path / "a", (4, 3, 5))
    copied = next((tmp_path / "a").iterdir())
    (tmp_path / "copy").write_bytes(copied.read_bytes())
    (tmp_path / "viewer.exe").write_bytes(b"MZ" + bytes(500))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.data, values)
    assert scan.notes == (
        "has files that are not DICOM: viewer.exe",
        "has 1 files that are copies of others (the same SOPInstanceUID and place)",
    )


def test_a_zip_is_read_like_its_folder(tmp_path):
    values = write_series(tmp_path / "series")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for file in (tmp_path / "series").iterdir():
            archive.write(file, f"p1/{file.name}")
        archive.writestr("__MACOSX/._x", b"x")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.zip").data, values)


def test_numbers_are_rescaled_frame_by_frame(tmp_path):
    for index, slope in enumerate((0.5, 2.0)):
        write_slice(tmp_path / str(index), np.full((3, 4), 10, np.int16), np.array([0, 0, index]), RescaleSlope=slope)
    data = read_scan(tmp_path).data
    assert data.dtype == np.float32
    assert data[0, 0].tolist() == [-1019, -1004]


def test_padding_is_air_and_low_is_bright_only_where_it_is_said(tmp_path):
    pixels = np.array([[-2000, 0], [500, 3000]], np.int16)
    write_slice(tmp_path / "ct", pixels, np.zeros(3), PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1")
    scan = read_scan(tmp_path / "ct")
    assert scan.data[..., 0].T.tolist() == [[-1024, -1024], [-524, 1976]]
    assert "1 padding voxels" in scan.notes[-1]
    tags = {
        "Modality": "MR",
        "PhotometricInterpretation": "MONOCHROME1",
        "RescaleIntercept": None,
        "RescaleSlope": None,
    }
    write_slice(tmp_path / "mr", pixels.clip(0).astype(np.uint16), np.zeros(3), BitsStored=12, HighBit=11, **tags)
    assert read_scan(tmp_path / "mr").data[..., 0].T.tolist() == [[4095, 4095], [3595, 1095]]


def test_a_missing_decoder_is_named_with_what_to_install():
    decoder = get_decoder(JPEGLSLossless)
    plugins = {label: decoder._available[label] for label in decoder.available_plugins}
    try:
        for label in plugins:
            decoder.remove_plugin(label)
        with pytest.raises(UnusableError, match="JPEG-LS Lossless Image Compression, and no decoder") as caught:
            read_scan(Path(get_testdata_file("MR_small_jpeg_ls_lossless.dcm")))
    finally:
        decoder._available.update(plugins)
    assert 'pip install "medvid[dicom]"' in caught.value.hint


def test_files_of_many_vendors_are_read_or_refused_by_a_sentence():
    def shape_or_refusal(path: Path) -> object:
        try:
            return read_scan(path).data.shape
        except UnusableError as error:
            return str(error).split()[0]

    paths = sorted(Path(file) for file in get_testdata_files() if Path(file).is_file())
    found = {path.name: shape_or_refusal(path) for path in paths}
    assert {each for each in found.values() if isinstance(each, str)} == {"is", "holds", "cannot"}
    assert found["rtdose.dcm"] == (10, 10, 15)
    assert sum(isinstance(each, tuple) for each in found.values()) > 40
