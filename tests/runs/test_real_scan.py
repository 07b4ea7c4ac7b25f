"""A real scan that nobody made for medvid, through a ten-line task: the MNI152 template that nilearn ships.

It is the average of 152 T1 scans with maps of grey and white matter. One subject shows that foreign files pass through
every stage and that the network can fit them. It cannot show generalisation: there is nothing held out.
"""

from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medvid

TASK = """\
name: mni
dataset:
  name: nifti
  root: scans
  labels: [background, grey_matter, white_matter]
  spacing: [4.0, 4.0, 4.0]
  split: {train: [mni152], validation: [mni152]}
  patch: {size: [32, 32, 32], per_case: 2}
backbone: {name: unetr, img_size: [32, 32, 32], patch_size: 8, hidden_size: 32, num_heads: 4, num_layers: 2, taps: [0]}
head: {name: unetr_decoder, feature_size: 8}
train: {steps: 40, batch_size: 1, optimizer: {name: adamw, lr: 5e-3}, workers: 0}
"""


@pytest.fixture
def scans(working_directory: Path) -> Path:
    """The template and its tissue maps as image and label map."""
    data = files("nilearn.datasets") / "data"
    image, grey, white = (
        nib.load(str(data / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")) for kind in ("t1", "gm", "wm")
    )
    tissue = np.stack([np.asarray(grey.dataobj), np.asarray(white.dataobj)])
    labels = np.where(tissue.max(axis=0) > 127, tissue.argmax(axis=0) + 1, 0).astype(np.uint8)
    for folder, volume in (("images", np.asarray(image.dataobj)), ("labels", labels)):
        path = working_directory / "scans" / folder / "mni152.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(volume, image.affine), path)
    return working_directory


def test_a_real_scan_through_ten_lines(scans: Path) -> None:
    (scans / "mni.yaml").write_text(TASK)
    run = medvid.run(scans / "mni.yaml")
    assert run.summary["data"] == "real"
    assert run.summary["metrics"]["dice"] > 0.6  # both tissues, on the scan's own 1 mm grid from 4 mm voxels
    assert "the task holds out training cases" in run.folder.log.read_text()
    [prediction] = (run.folder.path / "predictions").iterdir()
    written = nib.load(prediction)
    assert written.shape == (197, 233, 189)
    assert np.allclose(written.affine, nib.load(scans / "scans" / "images" / "mni152.nii.gz").affine)
