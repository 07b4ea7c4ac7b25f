"""DICOM series as scanners and careless exports write them: names and InstanceNumber say nothing of the order."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

STUDY = "1.2.826.0.1.3680043.10.1"


def write_slice(path: Path, pixels: np.ndarray, position: np.ndarray, **tags: object) -> Dataset:
    """Write a CT slice of int16 pixels (row, column); `tags` replace the usual ones, None removes one."""
    slice_ = Dataset()
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    usual = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": generate_uid(), "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": STUDY + ".1", "FrameOfReferenceUID": STUDY + ".9", "Modality": "CT", "StudyID": "1",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PatientID": "p1", "PatientName": "Doe^Jo", "PatientSex": "O",
        "PatientBirthDate": "", "StudyDate": "20260102", "StudyTime": "101500", "AccessionNumber": "",
        "ReferringPhysicianName": "", "SeriesNumber": 1, "InstanceNumber": 1, "Manufacturer": "none",
        "PositionReferenceIndicator": "", "Laterality": "", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [f"{value:.10g}"[:16] for value in position], "PixelSpacing": [0.8, 0.65],
        "SliceThickness": 2, "Rows": pixels.shape[0], "Columns": pixels.shape[1], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": int(pixels.dtype.kind == "i"), "RescaleSlope": 1, "RescaleIntercept": -1024,
    }  # fmt: skip
    for keyword, value in (usual | tags).items():
        if value is not None:
            setattr(slice_, keyword, value)
    slice_.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    slice_.save_as(path, enforce_file_format=True)
    return slice_


def write_series(
    folder: Path,
    shape: tuple[int, int, int] = (14, 10, 6),
    *,
    step: tuple[float, float, float] = (0, 0, 2.5),
    origin: tuple[float, float, float] = (-40, -20, -100),
    seed: int = 0,
    skip: tuple[int, ...] = (),
    **tags: object,
) -> np.ndarray:
    """Write a series of (columns, rows, slices); returns its values, in HU, in the order of `step`."""
    generator = np.random.default_rng(seed)
    columns, rows, slices = shape
    pixels = generator.integers(0, 2000, (slices, rows, columns)).astype(np.int16)
    numbers = generator.permutation(slices)
    for index in set(range(slices)) - set(skip):
        name = f"{generator.integers(10**8):08d}{'.dcm' if index % 2 else ''}"
        position = np.add(origin, np.multiply(step, index))
        write_slice(folder / name, pixels[index], position, **{"InstanceNumber": int(numbers[index]) + 1} | tags)
    return pixels.transpose(2, 1, 0) - 1024


def write_contours(
    path: Path, affine: np.ndarray, rois: dict[str, list[tuple[int, list[tuple[float, float]]]]]
) -> None:
    """Write a structure set of regions by name, with contours of each: slice, and (column, row) of the corners."""
    structure_set = Dataset()
    structure_set.file_meta = FileMetaDataset()
    structure_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    structure_set.SOPClassUID, structure_set.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    structure_set.Modality = "RTSTRUCT"
    structure_set.StructureSetROISequence, structure_set.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber = number, name, number
        drawn.ContourSequence = []
        for slice_, points in contours:
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR" if len(points) > 1 else "POINT"
            contour.NumberOfContourPoints = len(points)
            ras = [affine @ [column, row, slice_, 1] for column, row in points]
            contour.ContourData = [f"{value:.9g}" for point in ras for value in point[:3] * (-1, -1, 1)]
            drawn.ContourSequence.append(contour)
        structure_set.StructureSetROISequence.append(roi)
        structure_set.ROIContourSequence.append(drawn)
    structure_set.save_as(path, enforce_file_format=True)


def box(low: float, high: float) -> list[tuple[float, float]]:
    """The corners of a square."""
    return [(low, low), (high, low), (high, high), (low, high)]
