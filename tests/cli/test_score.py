"""Masks against masks: each file accounted for, figures as an evaluation has them."""

import csv
import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medvid.cli.main import main
from medvid.data.images.writing import write_mask
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.evaluation.mask_pairs import pair_masks

LABELS = ("--labels", "background,one,two")


def box(where: int, label: int = 1) -> np.ndarray:
    array = np.zeros((12, 10, 8), np.uint8)
    array[where : where + 4, 2:6, 2:6] = label
    return array


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([2.0, 1.0, 1.0, 1.0]) if affine is None else affine), path)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def volumes(working_directory: Path) -> Path:
    """Three cases of the truth with a prediction each: shifted by a voxel of 2 mm, of another label, empty."""
    for name, true, predicted in (("a", box(2), box(3)), ("b", box(2, 2), box(2)), ("c", box(2), 0 * box(2))):
        write(working_directory / f"truth/{name}.nii.gz", true)
        write(working_directory / f"ours/{name}.nii.gz", predicted)
    return working_directory


@pytest.mark.usefixtures("volumes")
def test_volumes_are_scored_case_by_case_in_millimetres(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ours", "truth", *LABELS]) == 0
    rows = {(row["case"], row["label"]): row for row in rows_of(Path("scores"))}
    assert len(rows) == 6
    assert float(rows["a", "one"]["dice"]) == pytest.approx(0.75)
    assert float(rows["a", "one"]["hd95_mm"]) == pytest.approx(2.0)
    assert rows["a", "two"]["state"] == "absent"
    assert rows["a", "two"]["dice"] == ""
    assert (rows["b", "one"]["state"], rows["b", "two"]["state"]) == ("false positive", "missed")
    assert rows["c", "one"]["dice"] == "0.0"
    summary = json.loads(Path("scores/summary.json").read_text())
    assert summary["cases"] == 3
    assert summary["metrics"]["dice/one"] == pytest.approx((0.75 + 0 + 0) / 3)
    assert summary["metrics"]["dice"] == pytest.approx(((0.75 + 0 + 0) / 3 + 0) / 2)
    shown = capfd.readouterr().out
    assert "3 cases" in shown
    assert any("in neither truth nor prediction" in note for note in summary["notes"])


@pytest.mark.usefixtures("volumes")
def test_another_protocol_scores_by_its_own_definitions() -> None:
    assert main(["score", "ours", "truth", *LABELS, "--protocol", "transunet"]) == 0
    rows = {(row["case"], row["label"]): row for row in rows_of(Path("scores"))}
    assert float(rows["a", "one"]["hd95_voxel"]) == 1.0
    assert float(rows["b", "one"]["dice"]) == 1.0  # TransUNet's script has it so


@pytest.mark.usefixtures("volumes")
def test_a_protocol_takes_the_options_that_it_has_in_a_task() -> None:
    block = "{name: medvid, regions: {any: [1, 2]}, further: [volume, lesions]}"
    assert main(["score", "ours", "truth", *LABELS, "--protocol", block, "--tolerance", "3"]) == 0
    rows = {row["case"]: row for row in rows_of(Path("scores"))}
    assert [row["label"] for row in rows.values()] == ["any", "any", "any"]
    assert (float(rows["b"]["dice"]), float(rows["a"]["volume_error_ml"])) == (1.0, 0.0)
    assert float(rows["c"]["volume_error_ml"]) == pytest.approx(-0.128)  # 64 voxels of 2 mm^3
    assert [float(row["lesion_f1"]) for row in rows.values()] == [1.0, 1.0, 0.0]
    summary = json.loads(Path("scores/summary.json").read_text())
    assert (summary["protocol"], summary["options"]["tolerance"]) == ("medvid", 3.0)
    assert any(note.startswith("volume error is") for note in summary["notes"])


@pytest.mark.usefixtures("volumes")
def test_regions_of_labels_that_do_not_exist_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ours", "truth", *LABELS, "--protocol", "brats"]) == 2
    assert "regions.WT has the label 3, but the labels are 0 background, 1 one, 2 two" in capfd.readouterr().err


@pytest.mark.usefixtures("volumes")
def test_a_protocol_on_the_grid_of_a_model_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ours", "truth", *LABELS, "--protocol", "unetr"]) == 2
    assert "such as medvid" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("array", "affine", "told"),
    [
        (box(2)[1:], np.diag([2.0, 1.0, 1.0, 1.0]), "has shape"),
        (box(2), np.diag([1.0, 1.0, 1.0, 1.0]), "do not lie on one another"),
        (box(2)[::-1].copy(), np.diag([-2.0, 1.0, 1.0, 1.0]), "do not lie on one another"),
        (box(2, 7), np.diag([2.0, 1.0, 1.0, 1.0]), "has label 7"),
    ],
    ids=["shape", "spacing", "flipped", "label"],
)
def test_masks_that_differ_in_their_grid_or_labels_are_refused(
    volumes: Path, array: np.ndarray, affine: np.ndarray, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(volumes / "ours/b.nii.gz", array, affine)
    assert main(["score", "ours", "truth", *LABELS]) == 4
    error = capfd.readouterr().err
    assert told in error
    assert "case b" in error
    assert not Path("scores").exists()


def test_every_file_is_accounted_for(volumes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(volumes / "ours/d.nii.gz", box(1))
    (volumes / "truth/c.nii.gz").unlink()
    write(volumes / "truth/e.nii", box(1))
    Path("ours/pictures").mkdir()
    Image.fromarray(box(1)[..., 3]).save("ours/pictures/a.png")
    assert main(["score", "ours", "truth", *LABELS]) == 4
    error = capfd.readouterr().err
    assert "1 have no prediction: e.nii" in error
    assert "2 predictions have no truth: c.nii.gz, d.nii.gz" in error
    assert main(["score", "ours", "truth", *LABELS, "--common"]) == 0
    notes = " ".join(json.loads(Path("scores/summary.json").read_text())["notes"])
    assert "of 3 cases 2 are scored" in notes
    assert "d.nii.gz" in notes
    assert "pictures/a.png" in notes


def test_names_as_medvid_and_btcv_have_them(tmp_path: Path) -> None:
    for name in ("ours/img0001.nii.gz", "truth/label0001.nii.gz", "ours/img0002.nii", "truth/label0002.nii.gz"):
        write(tmp_path / name, box(1))
    pairs, _ = pair_masks(tmp_path / "ours", tmp_path / "truth", shipped_formats())
    assert [(pair.prediction.name, pair.truth.name) for pair in pairs] == [
        ("img0001.nii.gz", "label0001.nii.gz"), ("img0002.nii", "label0002.nii.gz"),
    ]  # fmt: skip


def test_two_predictions_of_one_case_are_refused(volumes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(volumes / "ours/a.nii", box(1))
    assert main(["score", "ours", "truth", *LABELS]) == 4
    assert "a.nii" in capfd.readouterr().err


@pytest.mark.usefixtures("working_directory")
def test_images_as_predict_names_them(capfd: pytest.CaptureFixture[str]) -> None:
    for folder, name, shift in (("truth", "x_anno.png", 0), ("ours", "x_mask.png", 2)):
        Path(folder).mkdir()
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 2 + shift : 10 + shift] = 255
        Image.fromarray(mask).save(f"{folder}/{name}")
    assert main(["score", "ours", "truth"]) == 4
    assert "--suffix" in capfd.readouterr().err
    assert main(["score", "ours", "truth", "--suffix", "_anno"]) == 0
    [row] = rows_of(Path("scores"))
    assert (row["case"], float(row["dice"]), float(row["hd95_px"])) == ("x", 0.75, 2.0)


@pytest.mark.usefixtures("volumes")
def test_what_would_be_a_mistake_is_refused_or_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ours", "ours", *LABELS]) == 2
    assert main(["score", "ours", "truth"]) == 2
    assert "--labels background,liver" in capfd.readouterr().err
    assert main(["score", "ours", "truth", *LABELS, "-o", "ours"]) == 2
    Path("copy").mkdir()
    for name in "abc":
        Path(f"copy/{name}.nii.gz").write_bytes(Path(f"truth/{name}.nii.gz").read_bytes())
    assert main(["score", "copy", "truth", *LABELS]) == 0
    summary = json.loads(Path("scores/summary.json").read_text())
    assert any("byte for byte" in note for note in summary["notes"])
    assert math.isclose(summary["metrics"]["dice"], 1.0)


def test_labels_of_a_dataset_json_are_used(volumes: Path) -> None:
    content = {"labels": {"background": 0, "liver": 1, "spleen": 2}, "channel_names": {"0": "CT"}}
    (volumes / "dataset.json").write_text(json.dumps(content))
    assert main(["score", "ours", "truth"]) == 0
    assert {row["label"] for row in rows_of(Path("scores"))} == {"liver", "spleen"}


IDS = np.zeros((12, 12), np.uint8)
IDS[2:6, 2:6], IDS[7:11, 3:9] = 1, 2
PALETTE = {0: (0, 0, 0), 1: (200, 0, 0), 2: (0, 200, 0)}


def paint(path: str, order: tuple[int, ...], colours: dict[int, tuple[int, int, int]] = PALETTE) -> None:
    """`IDS` with `PALETTE` or others, stored in another order of indices."""
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[IDS])
    image.putpalette(np.array([colours[index] for index in order], np.uint8).tobytes())
    Path(path).parent.mkdir(exist_ok=True)
    image.save(path)


@pytest.mark.usefixtures("working_directory")
def test_palettes_that_number_labels_differently_are_not_compared(capfd: pytest.CaptureFixture[str]) -> None:
    paint("truth/a.png", (0, 1, 2))
    for order in ((0, 2, 1), (1, 0, 2), (2, 0, 1)):
        paint("swapped/a.png", order)
        assert main(["score", "swapped", "truth", *LABELS]) == 4
        assert "in that of truth/a.png" in capfd.readouterr().err
    paint("other/a.png", (0, 1, 2), {0: (0, 0, 0), 1: (9, 9, 250), 2: (250, 250, 9)})
    write_mask(Path("medvid/a_mask.png"), IDS, 3)
    for same in ("other", "medvid"):
        assert main(["score", same, "truth", *LABELS]) == 0
        assert {row["dice"] for row in rows_of(Path("scores"))} == {"1.0"}
    paint("truth/b.png", (0, 2, 1))
    paint("other/b.png", (0, 2, 1))
    assert main(["score", "other", "truth", *LABELS]) == 4
    assert "truth/a.png" in capfd.readouterr().err


@pytest.mark.usefixtures("working_directory")
def test_true_masks_in_several_files_are_united(capfd: pytest.CaptureFixture[str]) -> None:
    whole = np.zeros((16, 16), np.uint8)
    whole[1:5, 1:5] = whole[10:14, 8:12] = 255
    upper, lower = whole.copy(), whole.copy()
    upper[8:], lower[:8] = 0, 0
    for name, mask in (("t/x (1)_mask.png", upper), ("t/x (1)_mask_1.png", lower), ("ours/x (1).png", whole)):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(name)
    assert main(["score", "ours", "t", "--suffix", "_mask"]) == 0
    [row] = rows_of(Path("scores"))
    assert float(row["dice"]) == 1.0
    assert "united: x (1)" in capfd.readouterr().out
    assert main(["score", "ours", "t", "--suffix", "_mask", "--mask-values", "indexed"]) == 4
    assert "x (1)_mask_1.png" in capfd.readouterr().err


@pytest.mark.usefixtures("working_directory")
def test_pixels_that_nobody_annotated_count_in_no_figure(capfd: pytest.CaptureFixture[str]) -> None:
    truth, prediction = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    truth[2:8, 2:8] = prediction[2:8, 2:8] = prediction[12:] = 1
    truth[12:] = 255
    for name, mask in (("t/a.png", truth), ("ours/a.png", prediction)):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(name)
    command = ["score", "ours", "t", "--mask-values", "indexed"]
    assert main([*command, "--ignore", "255"]) == 0
    assert [row["dice"] for row in rows_of(Path("scores"))] == ["1.0"]
    assert "64 voxels in 1 of 1 cases have no label" in capfd.readouterr().out
    assert main(command) == 4
    assert "255 (64 px)" in capfd.readouterr().err
    assert main([*command, "--ignore", "1"]) == 2
    assert "ignore is 1, which is one of the labels" in capfd.readouterr().err


def test_predictions_with_other_labels_are_refused_or_said(volumes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for folder, names in (("truth", ["background", "spleen", "liver"]), ("ours", ["background", "liver", "spleen"])):
        content = {"labels": {name: number for number, name in enumerate(names)}}
        (volumes / folder / "dataset.json").write_text(json.dumps(content))
    assert main(["score", "ours", "truth"]) == 4
    assert "the dataset.json in ours has other labels, background, liver, spleen, than are" in capfd.readouterr().err
    assert main(["score", "ours", "truth", "--labels", "liver,spleen,kidney"]) == 0
    notes = json.loads(Path("scores/summary.json").read_text())["notes"]
    assert sum("has other labels" in note for note in notes) == 2
    assert "'liver' (id 0) taken for the background and left out" in notes[0]


def test_masks_of_several_formats_are_scored_by_their_names(working_directory: Path) -> None:
    """A label map of NIfTI against Slicer's segments, whose values are not those of the labels."""
    write(working_directory / "ours/a.nii.gz", box(3, 2))
    (working_directory / "truth").mkdir()
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: RAS\nsizes: 12 10 8\nspace directions: (2,0,0) (0,1,0) (0,0,1)\n"
        "encoding: raw\nspace origin: (0,0,0)\nSegment0_Name:=Two\nSegment0_LabelValue:=7\n\n"
    )
    truth = (7 * (box(2) > 0)).astype(np.uint8).tobytes(order="F")
    (working_directory / "truth/a.seg.nrrd").write_bytes(header.encode() + truth)
    assert main(["score", "ours", "truth", *LABELS]) == 0
    rows = {row["label"]: row for row in rows_of(Path("scores"))}
    assert float(rows["two"]["dice"]) == pytest.approx(0.75)
    assert rows["one"]["state"] == "absent"
