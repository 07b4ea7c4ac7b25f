"""DICOM without a place in the patient (radiographs, ultrasound), and uptake of PET."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from tests.datasets.dicom_files import write_series, write_slice
from tests.datasets.test_dicom_formats import made

from medvid.data.volumes.formats.format import UnusableError
from medvid.errors import DataError
from medvid_dicom.config import DicomOptions
from medvid_dicom.formats import Dicom
from medvid_dicom.images import read_frames
from medvid_dicom.pet import suv_factor
from medvid_dicom.volume import read_place, read_scan
from medvid_images.config import ImagesOptions
from medvid_images.data import Images


def test_a_radiograph_is_bright_where_numbers_are_high(tmp_path):
    tags = {"Modality": "DX", "ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
    tags |= {"RescaleSlope": None, "RescaleIntercept": None, "ImagerPixelSpacing": [0.2, 0.1]}
    pixels = np.array([[0, 1000], [20, 1023]], np.uint16)
    file = tmp_path / "x.dcm"
    write_slice(file, pixels, np.zeros(3), BitsStored=10, HighBit=9, PhotometricInterpretation="MONOCHROME1", **tags)
    image = read_frames(file)
    np.testing.assert_array_equal(image.data, 1023 - pixels[None].astype(int))
    assert image.spacing == (0.2, 0.1)
    assert "its detector alone" in image.notes[1]
    with pytest.raises(UnusableError, match="none of its frames says where it lies in the patient") as caught:
        read_place(file)
    assert "the data set images reads such files" in caught.value.hint


def test_radiographs_are_images_with_a_class(tmp_path):
    tags = {"Modality": "DX", "ImagePositionPatient": None, "ImageOrientationPatient": None}
    tags |= {"RescaleSlope": None, "RescaleIntercept": None}
    pixels = np.array([[0, 1023], [511, 256]], np.uint16)
    write_slice(tmp_path / "ill" / "a.dcm", pixels, np.zeros(3), BitsStored=10, HighBit=9, **tags)
    write_slice(tmp_path / "well" / "b.dcm", pixels, np.zeros(3), BitsStored=10, **tags | {"RescaleSlope": 2})
    values = {"root": tmp_path, "channels": 1, "size": (2, 2), "classes": ["ill", "well"]}
    data = Images(ImagesOptions.model_validate({"name": "images", **values}), lambda *_: made())
    np.testing.assert_allclose(data.open_case("ill/a.dcm").unit()[0], pixels / 1023, atol=1e-6)
    with pytest.raises(DataError, match=r"case well/b.dcm: .*b\.dcm has 32 bits per pixel") as caught:
        data.open_case("well/b.dcm").unit()
    assert "dataset.window" in caught.value.hint
    assert [case.id for case in data.open([tmp_path / "ill"])] == ["a"]


def test_a_film_of_an_ultrasound_scanner_is_rgb_with_times():
    path = Path(get_testdata_file("examples_ybr_color.dcm"))
    film = read_frames(path)
    for read in (read_place, Dicom(DicomOptions()).read_picture):
        with pytest.raises(UnusableError) as caught:
            read(path)
        assert "data sets of videos read it" in caught.value.hint
    assert film.data.shape == (30, 240, 320, 3)
    assert film.data.dtype == np.uint8
    assert film.times is not None
    assert len(film.times) == 30
    assert film.regions[0].delta is not None
    # Grey parts have three equal channels, unless the colours are not converted, or converted twice.
    spread = np.ptp(film.data[0].astype(int), axis=-1)
    assert np.median(spread) <= 2


def test_palettes_become_colours():
    image = read_frames(Path(get_testdata_file("examples_palette.dcm")))
    assert image.data.shape == (1, 350, 800, 3)
    assert image.data.dtype == np.uint8
    assert image.data.max() > 200


def pet(folder: Path, **tags: object) -> Path:
    drug = Dataset()
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 370e6, 6586.2
    drug.RadiopharmaceuticalStartTime = "233000"
    usual = {
        "Modality": "PT", "Units": "BQML", "CorrectedImage": ["DECY", "ATTN"], "DecayCorrection": "START",
        "PatientWeight": 70, "RadiopharmaceuticalInformationSequence": [drug], "SeriesDate": "20260102",
        "SeriesTime": "010000", "AcquisitionDate": "20260102", "AcquisitionTime": "003000", "RescaleIntercept": 0,
    }  # fmt: skip
    write_series(folder, (4, 3, 3), **(usual | tags))
    return folder


def test_uptake_counts_from_the_injection_before_midnight_to_the_first_acquisition(tmp_path):
    place = read_place(pet(tmp_path))
    assert suv_factor(place.frames) == pytest.approx(70000 / (370e6 * 2 ** (-3600 / 6586.2)))
    activity, uptake = read_scan(tmp_path), read_scan(tmp_path, suv=True)
    np.testing.assert_allclose(uptake.data, activity.data * suv_factor(place.frames), rtol=1e-6)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"Units": "CNTS"}, "Units is CNTS"),
        ({"CorrectedImage": ["DECY"]}, "CorrectedImage lacks ATTN"),
        ({"PatientWeight": None}, "PatientWeight is missing"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection is NONE"),
    ],
)
def test_uptake_that_cannot_be_known_is_refused(tmp_path, tags, said):
    with pytest.raises(UnusableError, match=f"SUV cannot be computed: {said}"):
        read_scan(pet(tmp_path, **tags), suv=True)


def test_doses_decay_to_the_injection_where_the_series_is_corrected_to_it(tmp_path):
    place = read_place(pet(tmp_path, DecayCorrection="ADMIN"))
    assert suv_factor(place.frames) == pytest.approx(70000 / 370e6)
