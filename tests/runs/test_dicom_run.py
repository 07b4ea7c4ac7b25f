"""Scans and labels as a hospital exports them, through the command line: trained on, and predicted back."""

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from tests.datasets.dicom_files import box, write_contours, write_series

from medvid.cli.main import main
from medvid_dicom.segmentation import read_segmentation
from medvid_dicom.volume import Place, read_place
from medvid_dicom.writing import write_segmentation

SHAPE = (16, 14, 12)
NAMES = ("background", "liver")
TASK = """\
name: hospital
dataset:
  name: nifti
  root: scans
  labels: [background, liver]
  format: {name: dicom, series: "CT*"}
  window: [-1024, 1000]
  cache: cache
  split: {train: [p1, p2], validation: [p3]}
  patch: {size: [16, 16, 16], per_case: 1}
backbone: {name: unetr, img_size: [16, 16, 16], patch_size: 8, hidden_size: 8, mlp_dim: 8, num_heads: 2, num_layers: 2,
           taps: [0]}
head: {name: unetr_decoder, feature_size: 2}
train: {steps: 2, batch_size: 1, optimizer: {name: adamw, lr: 1e-3}, workers: 0, precision: fp32}
evaluation: {figures: 0}
"""


def write_scan(folder: Path, seed: int) -> Place:
    """A series, and one that is not meant; their files have no order."""
    write_series(folder, SHAPE, seed=seed, SeriesDescription="CT ax", SeriesInstanceUID=f"1.2.3.{seed}")
    write_series(folder / "scout", (8, 8, 1), seed=9, SeriesDescription="scout", SeriesInstanceUID="1.2.9")
    return read_place(folder, "CT*")


@pytest.fixture
def scans(working_directory: Path) -> Path:
    """A folder with a segmentation, a zip with contours, and a folder with a NIfTI label map."""
    images, labels = working_directory / "scans" / "images", working_directory / "scans" / "labels"
    labels.mkdir(parents=True)
    liver = np.zeros(SHAPE, np.uint8)
    liver[4:10, 4:10, 3:8] = 1
    first = write_scan(images / "p1", 1)
    write_segmentation(labels / "p1.dcm", liver, NAMES, first.frames)
    second = write_scan(working_directory / "p2", 2)
    write_contours(labels / "p2.dcm", second.affine, {"Liver": [(index, box(3.5, 9.5)) for index in range(3, 8)]})
    with zipfile.ZipFile(images / "p2.zip", "w") as archive:
        for file in (working_directory / "p2").rglob("*"):
            archive.write(file, file.relative_to(working_directory))
    third = write_scan(images / "p3", 3)
    nib.save(nib.Nifti1Image(liver, third.affine), labels / "p3.nii.gz")
    write_scan(working_directory / "new" / "p4", 4)
    return working_directory


def test_dicom_goes_in_and_comes_out(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "task.yaml").write_text(TASK)
    assert main(["run", "task.yaml"]) == 0
    [run] = (scans / "runs" / "hospital").iterdir()
    assert main(["predict", str(run), "new/p4", "-o", "seg"]) == 0
    assert main(["predict", str(run), "new/p4", "-o", "nifti", "--format", "nifti"]) == 0
    place = read_place(scans / "new" / "p4", "CT*")
    [liver] = read_segmentation(scans / "seg" / "p4.dcm", place.affine, place.shape)
    image = nib.load(scans / "nifti" / "p4.nii.gz")
    np.testing.assert_allclose(image.affine, place.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), liver.mask(place.shape))
    assert dcmread(scans / "seg" / "p4.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.4"
    assert main(["predict", str(run), "new/p4", "-o", "other", "--format", "dicom"]) == 2
    assert "predictions cannot be written as dicom" in capsys.readouterr().err
