"""Labels that were drawn in some cases only, and structures that overlap, through the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.runs.test_regions import SHAPE, TASK, load, rows_of, save, tumour

import medvid
from medvid.cli.main import main

SMALL = [
    *("--set", "train.steps=4", "--set", "train.checkpoint_every=4", "--set", "dataset.patch.per_case=1"),
    *("--set", "dataset.fold=null", "--set", "evaluation.figures=1"),
]


def scan(label_map: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(0, 1, SHAPE) + 4 * label_map).astype(np.float32)


def organs(seed: int) -> np.ndarray:
    """Liver (1) beside spleen (2)."""
    whole = tumour(seed) > 0
    return (whole + (whole & (np.arange(SHAPE[0]) > 9)[:, None, None])).astype(np.uint8)


def run(*options: str) -> Path:
    shutil.copy(TASK, "regions.yaml")
    assert main(["run", "regions.yaml", *SMALL, *options]) == 0
    [folder] = Path("runs/regions").iterdir()
    return folder


@pytest.mark.usefixtures("working_directory")
def test_labels_that_were_not_drawn_have_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    for seed, case in enumerate("abcd"):
        label_map = organs(seed)
        save(scan(label_map, seed), Path(f"own/images/{case}.nii.gz"))
        label_map[label_map == (2 if case in "ac" else 0)] = 0  # in a and c nobody drew the spleen
        save(label_map, Path(f"own/labels/{case}.nii.gz"))
    content = {"labels": {"background": 0, "liver": 1, "spleen": 2}, "drawn": {"a": ["liver"], "c": ["liver"]}}
    Path("own/dataset.json").write_text(json.dumps(content))
    split = "dataset.split={train: [a, b], validation: [c, d]}"
    folder = run("--set", split)
    assert "not drawn, of 4 cases: spleen in 2" in (folder / "run.log").read_text()
    rows = {(row["case"], row["label"]): row for row in rows_of(folder / "cases.csv")}
    assert (rows["c", "spleen"]["state"], rows["c", "spleen"]["dice"]) == ("unknown", "")
    assert rows["d", "spleen"]["state"] != "unknown"
    answer, truth = load(folder / "predictions/c.nii.gz"), organs(2)
    liver = [answer == 1, truth == 1]
    dice = 2 * (liver[0] & liver[1]).sum() / sum(mask.sum() for mask in liver)
    assert float(rows["c", "liver"]["dice"]) == pytest.approx(dice)
    notes = medvid.load_run(folder).summary["notes"]
    assert any("1 (case, label) pairs" in note and "spleen 1" in note for note in notes), notes
    assert main(["predict", str(folder), "own/images/a.nii.gz", "-o", "answers"]) == 0, capsys.readouterr().err

    label_map = load(Path("own/labels/a.nii.gz")).copy()
    label_map[0, 0, 0] = 2
    save(label_map, Path("own/labels/a.nii.gz"))
    assert main(["run", "regions.yaml", *SMALL, "--set", split]) == 4
    assert "case a has voxels of spleen, which nobody drew in it" in capsys.readouterr().err


@pytest.mark.usefixtures("working_directory")
def test_structures_that_overlap_are_trained_scored_and_written_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    for seed, case in enumerate("abc"):
        label_map = tumour(seed)
        save(scan(label_map, seed), Path(f"own/images/{case}.nii.gz"))
        masks = {"whole": label_map > 0, "core": label_map > 1}
        if case == "a":
            del masks["core"]
        for name, mask in masks.items():
            save(mask.astype(np.uint8), Path(f"own/labels/{case}/{name}.nii.gz"))
    split = "dataset.split={train: [a, b], validation: [c]}"
    folder = run("--set", split, "--set", "dataset.structures=[whole, core]", "--set", "dataset.lacking=undrawn")
    rows = {row["label"]: row for row in rows_of(folder / "cases.csv")}
    for number, name in enumerate(("whole", "core")):
        mask, truth = load(folder / f"predictions/c/{name}.nii.gz") > 0, tumour(2) > number
        assert float(rows[name]["dice"]) == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
        assert int(rows[name]["voxels_true"]) == truth.sum()
    assert main(["evaluate", str(folder)]) == 0, capsys.readouterr().err
    assert main(["predict", str(folder), "own/images", "-o", "answers"]) == 0, capsys.readouterr().err
    np.testing.assert_array_equal(load(Path("answers/c/core.nii.gz")), load(folder / "predictions/c/core.nii.gz"))
    shutil.rmtree("own/labels/b")
    assert main(["run", "regions.yaml", *SMALL, "--set", split, "--set", "dataset.structures=[whole, core]"]) == 4
    assert "images/b.nii.gz" in capsys.readouterr().err
