"""A small CT series, and a segmentation of it, as the conformance kit reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medvid_dicom import writing
from medvid_dicom.volume import read_place

_SHAPE = (6, 5, 4)
_DIRECTIONS = np.array([[0.36, -0.8, 0.48], [0.48, 0.6, 0.64]])  # along none of the body's axes


def write_scan(folder: Path) -> Path:
    """Write an oblique series of slices into a folder of its own."""
    columns, rows, slices = _SHAPE
    values = np.random.default_rng(0).integers(0, 2000, (slices, rows, columns), np.int16)
    study, series = generate_uid(), generate_uid()
    (path := folder / "scan").mkdir()
    for number, pixels in enumerate(values):
        slice_ = _slice(pixels, np.cross(*_DIRECTIONS) * 2.5 * number)
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, series, study
        slice_.InstanceNumber = slices - number
        slice_.save_as(path / f"{number}.dcm", enforce_file_format=True)
    return path


def write_segmentation(folder: Path) -> Path:
    """Write a segmentation of such a series beside it."""
    place = read_place(write_scan(folder))
    labels = np.random.default_rng(0).integers(0, 3, place.shape).astype(np.uint8)
    writing.write_segmentation(path := folder / "labels.dcm", labels, ("background", "liver", "spleen"), place.frames)
    return path


def _slice(pixels: np.ndarray, position: np.ndarray) -> Any:
    slice_ = pydicom.Dataset()
    slice_.file_meta = pydicom.dataset.FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": generate_uid(), "Modality": "CT", "PatientID": "demo",
        "PatientName": "Demo", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "", "StudyTime": "",
        "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": "", "SeriesNumber": 1, "Manufacturer": "",
        "Laterality": "", "PositionReferenceIndicator": "",
        "ImageOrientationPatient": [f"{value:g}" for value in _DIRECTIONS.ravel()],
        "ImagePositionPatient": [f"{value:.8g}" for value in position], "PixelSpacing": [0.8, 0.7], "Rows": _SHAPE[1],
        "Columns": _SHAPE[0], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
        "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": -1024,
        "PixelData": pixels.tobytes(),
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(slice_, keyword, value)
    return slice_
