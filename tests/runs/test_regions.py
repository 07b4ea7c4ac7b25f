"""Regions that overlap, and voxels that nobody annotated, from nnU-Net's folders to the files that are predicted."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.runs.conftest import content_of

import medvid
from medvid.cli.main import main
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

TASK = Path(__file__).parent / "regions.yaml"
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
SHAPE = (18, 16, 17)
CASES = ("a", "b", "c")


def tumour(seed: int) -> np.ndarray:
    """Oedema (1), core (2) and enhancing tumour (3), one in another."""
    start = np.random.default_rng(seed).integers(1, 4, 3)
    label_map = np.zeros(SHAPE, np.uint8)
    for number, margin in enumerate((0, 1, 2), start=1):
        label_map[tuple(slice(first + margin, first + 12 - margin) for first in start)] = number
    return label_map


def draw_scans(root: Path) -> Path:
    """Four channels that are brighter from id 1, 2, 3 on, and one of noise; a slab of each label map is ignored."""
    for seed, name in enumerate(CASES):
        label_map, random = tumour(seed), np.random.default_rng(seed)
        for channel in range(4):
            image = random.normal(0, 1, SHAPE) + 8 * (label_map > channel) * (channel < 3)
            save(image.astype(np.float32), root / f"imagesTr/{name}_{channel:04d}.nii.gz")
        label_map[:, :, 12:] = 4
        save(label_map, root / f"labelsTr/{name}.nii.gz")
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    names = {str(channel): f"MR{channel}" for channel in range(4)}
    content = {"labels": labels, "regions_class_order": [1, 2, 3], "channel_names": names, "numTraining": 3}
    (root / "dataset.json").write_text(json.dumps({**content, "file_ending": ".nii.gz"}))
    (root / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    return root


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), path)


def load(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("working_directory")
def test_regions_and_unknown_voxels_through_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    draw_scans(Path("own"))
    shutil.copy(TASK, "regions.yaml")
    assert main(["run", "regions.yaml"]) == 0, capsys.readouterr().err
    [folder] = Path("runs/regions").iterdir()
    told = (folder / "run.log").read_text()
    assert "nobody annotated 29% of its voxels (label 4, ignore)" in told

    truth, answer = tumour(2), load(folder / "predictions/c.nii.gz")
    known = np.arange(SHAPE[2]) < 12
    assert (answer == truth)[:, :, known].mean() > 0.95
    rows = rows_of(folder / "cases.csv")
    assert [row["label"] for row in rows] == ["whole", "core", "enhancing"]
    for number, row in enumerate(rows, start=1):
        predicted, true = ((label_map >= number)[:, :, known] for label_map in (answer, truth))
        dice = 2 * (predicted & true).sum() / (predicted.sum() + true.sum())
        assert float(row["dice"]) == pytest.approx(dice, abs=0.01)  # what is not nested is painted over
        assert dice > 0.9
        assert int(row["voxels_unknown"]) == 18 * 16 * 5
    assert any("have no label and are left out" in note for note in medvid.load_run(folder).summary["notes"])

    assert main(["predict", str(folder), "own/imagesTr", "-o", "answers", "--probabilities"]) == 0, (
        capsys.readouterr().err
    )
    np.testing.assert_array_equal(load(Path("answers/c.nii.gz")), answer)
    whole, *_ = np.moveaxis(load(Path("answers/probabilities/c.nii.gz")), -1, 0)
    assert ((whole > 0.51) <= (answer > 0)).all()
    assert main(["score", "answers", "own/labelsTr", "-o", "scores", "--common"]) == 0, capsys.readouterr().err
    [scored] = [row for row in rows_of(Path("scores/cases.csv")) if (row["case"], row["label"]) == ("c", "core")]
    assert float(scored["dice"]) == pytest.approx(float(rows[1]["dice"]), abs=0.01)

    before = content_of(folder / "checkpoints/step-00000040")
    shutil.rmtree(folder / "checkpoints/step-00000040")
    (folder / "summary.json").unlink()
    assert main(["run", "--resume", str(folder)]) == 0, capsys.readouterr().err
    assert content_of(folder / "checkpoints/step-00000040") == before


def test_regions_without_an_order_are_written_into_a_file_each(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}
    options = {
        "name": "nifti",
        "root": draw_scans(tmp_path),
        "cache": tmp_path / "cache",
        "labels": labels,
        "ignore": 4,
    }
    dataset = NIfTI(NIfTIOptions.model_validate({**options, "channels": 4, "ignore_description": True}))
    case = dataset.open_case("c")
    masks = (case.native_truth() == 1).astype(np.uint8)
    files = case.write(masks, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in files] == ["c/whole.nii.gz", "c/core.nii.gz"]
    for path, mask in zip(files, masks, strict=True):
        np.testing.assert_array_equal(load(path), mask)
        np.testing.assert_array_equal(nib.load(path).affine, AFFINE)
