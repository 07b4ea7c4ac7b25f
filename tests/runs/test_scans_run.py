"""A folder of DICOM scans with a table of what is known of the patients, and a task of ten lines."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tests.runs.test_answers_run import rows_of

from medvid.cli.main import main

pytest.importorskip("pydicom")

TASK = """
name: scans
dataset: {{name: volumes, root: scans, size: [8, 8, 8], {asked}}}
backbone: {{name: vit, img_size: [8, 8], patch_size: 4, embed_dim: 16, depth: 1, num_heads: 2}}
head: {head}
train: {{steps: 20, batch_size: 4, optimizer: {{name: adamw, lr: 1e-2}}, precision: fp32, workers: 0}}
evaluation: {{figures: 0, resamples: 0}}
"""


def write_scan(folder: Path, values: np.ndarray) -> None:
    """Write a series (X, Y, Z) whose instance numbers do not follow the slices."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(values.shape[2]):
        part = Dataset()
        part.file_meta = FileMetaDataset()
        part.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        part.file_meta.MediaStorageSOPClassUID = part.SOPClassUID = CTImageStorage
        part.file_meta.MediaStorageSOPInstanceUID = part.SOPInstanceUID = generate_uid()
        part.SeriesInstanceUID, part.StudyInstanceUID, part.FrameOfReferenceUID = series, study, frame
        part.Modality, part.PatientID, part.PatientName = "CT", folder.name, folder.name
        part.InstanceNumber = (7 * number) % values.shape[2] + 1
        part.ImageOrientationPatient, part.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.5 * number]
        part.PixelSpacing, part.SliceThickness = [1, 1], 2.5
        part.Rows, part.Columns = values.shape[1], values.shape[0]
        part.SamplesPerPixel, part.PhotometricInterpretation = 1, "MONOCHROME2"
        part.BitsAllocated = part.BitsStored = 16
        part.HighBit, part.PixelRepresentation = 15, 0
        part.RescaleSlope, part.RescaleIntercept = 1, 0
        part.PixelData = values[:, :, number].T.astype("<u2").tobytes()
        part.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


@pytest.fixture
def scans(working_directory: Path) -> Path:
    """Scans that are brighter in the middle the older the patient, with a bright side where there is a lesion."""
    root, rows = working_directory / "scans", []
    for number in range(10):
        age, lesion = 30 + 5 * number, number % 2
        values = np.random.default_rng(number).integers(90, 110, (12, 12, 8))
        values[3:9, 3:9, 2:6] += 10 * age
        values[:6] += 600 * lesion
        write_scan(root / f"scan {number}", values)
        rows.append([f"scan {number}", f"p{number}", age, "mf"[number % 2], ("no", "yes")[lesion]])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["folder", "patient", "age", "sex", "lesion"], *rows])
    return root


@pytest.mark.parametrize(
    ("asked", "head", "column"),
    [
        ("value_columns: {age: years}", "regression", "age (years)"),
        ("label_columns: [lesion]", "classification", "lesion"),
    ],
)
def test_ten_lines_are_enough(
    asked: str, head: str, column: str, scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("task.yaml").write_text(TASK.format(asked=asked, head=head))
    assert main(["run", "task.yaml"]) == 0, capfd.readouterr().err
    [run] = Path("runs/scans").iterdir()
    cases = {row["case"]: row for row in rows_of(run / "cases.csv")}
    assert 0 < len(cases) < 5
    assert all(case.startswith("scan ") for case in cases)
    new = [str(scans / name) for name in ("scan 0", "scan 9")]
    assert main(["predict", str(run), *new, "-o", "out"]) == 0, capfd.readouterr().err
    first, last = rows_of(Path("out/predictions.csv"))
    assert (first["case"], last["case"]) == ("scan 0", "scan 9")
    assert float(first[column]) < float(last[column])  # 30 and 75 years old; without and with a lesion
