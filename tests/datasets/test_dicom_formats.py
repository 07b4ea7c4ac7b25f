"""DICOM among the formats of volumes: which folders are cases, and what predictions are written as."""

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.datasets.dicom_files import write_series

from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import Formats, shipped_formats
from medvid.data.volumes.formats.format import Format, LabelMap
from medvid.data.volumes.index import find_volumes
from medvid.errors import ConfigError, DataError
from medvid.plugin.specs import FormatSpec, load_attribute
from medvid.runs.pseudonymous import PseudonymousDataset
from medvid.runs.pseudonyms import Pseudonyms
from medvid_dicom.config import DicomOptions
from medvid_dicom.plugin import medvid_components
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

SPECS = [spec for spec in medvid_components() if isinstance(spec, FormatSpec)]


def made() -> dict[FormatSpec, Format]:
    """The formats of DICOM, by their defaults."""
    return {spec: load_attribute(spec.target)(load_attribute(spec.config)()) for spec in SPECS}


def formats(answers: str = "", **options: object) -> Formats:
    """The shipped ones, and those of DICOM with these options for images."""
    forced = DicomOptions.model_validate({"name": "dicom", **options}) if options else None
    found = {**shipped_formats()._made, **made()}
    if forced:
        found[SPECS[0]] = load_attribute(SPECS[0].target)(forced)
    return Formats(found, forced, answers)


def cases(*paths: Path) -> dict[str, Path]:
    found = find_volumes(paths, formats=formats())
    return {case: files.images[0] for case, files in found.cases.items()}


def test_a_folder_of_slices_is_a_case_and_so_is_each_folder_in_a_folder(tmp_path):
    for name in ("p1", "p2/1.series"):
        write_series(tmp_path / "scans" / name, (4, 3, 3))
    scans = tmp_path / "scans"
    assert cases(scans / "p1") == {"p1": scans / "p1"}
    assert cases(scans) == {"p1": scans / "p1", "p2": scans / "p2"}
    assert cases(scans / "p2") == {"1.series": scans / "p2" / "1.series"}
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), scans / "p1" / "a.nii.gz")
    assert "a" in cases(scans / "p1")  # a folder of files of several formats is no volume
    with zipfile.ZipFile(tmp_path / "p3.zip", "w") as archive:
        for file in (scans / "p2" / "1.series").iterdir():
            archive.write(file, file.name)
    assert cases(tmp_path / "p3.zip") == {"p3": tmp_path / "p3.zip"}


def test_what_forced_options_refuse_is_named_with_the_case(tmp_path):
    write_series(tmp_path / "p1", (4, 3, 3))
    with pytest.raises(DataError, match=r"case p1: .*p1 has no series 9\.9, but"):
        reading.read(formats(series="9.9"), tmp_path / "p1", "p1")


def test_predictions_are_written_as_segmentations_or_as_asked(tmp_path, caplog):
    write_series(tmp_path / "p1", (4, 3, 3))
    usual = formats()
    image = reading.read(usual, tmp_path / "p1", "p1")
    labels = np.arange(36).reshape(4, 3, 3) % 2
    written = LabelMap(labels.astype(np.uint8), image.geometry, ("background", "liver"), (tmp_path / "p1",))
    for found, name in ((usual, "p1.dcm"), (formats("nifti"), "p1.nii.gz"), (usual.without_patients(), "p1.nii.gz")):
        path = reading.write_labels(found, tmp_path / "out", "p1", written)
        assert path.name == name
        again = reading.read_labels(usual, path, "p1", 2, ("background", "liver"), image.geometry)
        np.testing.assert_array_equal(again.data, labels)
        np.testing.assert_allclose(again.affine, image.affine, atol=1e-4)
    for file in (tmp_path / "p1").iterdir():
        file.unlink()
    write_series(tmp_path / "p1", (4, 3, 3), seed=1)
    path = reading.write_labels(usual, tmp_path / "out", "p1", written)
    assert path.name == "p1.nii.gz"
    assert "cannot be written as DICOM SEG, as its images are not the same any more" in caplog.text


def test_a_format_that_cannot_be_written_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"predictions cannot be written as dicom, which .* does not write"):
        formats("dicom")
    with pytest.raises(ConfigError, match="names the patient in its files"):
        formats("dicom_seg").without_patients()


def test_a_run_with_pseudonyms_writes_no_names_of_patients(tmp_path):
    data = NIfTI(NIfTIOptions.model_validate({"name": "nifti", "root": tmp_path}), lambda *_: formats()._made)
    assert [spec.name for spec, _ in data.formats.writing("dicom")] == ["dicom_seg", "nifti"]
    with Pseudonyms(bytes(32)) as pseudonyms:
        PseudonymousDataset(data, pseudonyms)
    assert [spec.name for spec, _ in data.formats.writing("dicom")] == ["nifti"]
