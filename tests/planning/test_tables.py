"""Plans for images and volumes with answers of their own."""

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.planning.test_volumes import read, unwrapped

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.plugin.host import make_host
from medvid_images.cells import generate as generate_cells
from medvid_images.config import CellsOptions
from medvid_images.config import recognise as is_of_images
from medvid_volumes.config import HeadsOptions
from medvid_volumes.config import recognise as is_of_volumes
from medvid_volumes.heads import generate as generate_heads

Plan = Callable[..., tuple[int, str, str]]


def sets(*values: str) -> list[str]:
    return [part for each in values for part in ("--set", each)]


UNETR = [
    "--backbone", "unetr", "--memory", "2", "--steps", "10",
    *sets("backbone.hidden_size=24", "backbone.mlp_dim=24", "backbone.num_heads=2", "backbone.num_layers=4",
          "backbone.taps=[0, 1]"),
]  # fmt: skip


def write_table(root: Path, names: list[str], classes: list[str]) -> None:
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "class"), *zip(names, classes, strict=True)])


def write_scans(root: Path, kind: str) -> Path:
    """Twelve scans of one voxel size and two classes, one of which is rare."""
    random = np.random.default_rng(0)
    names = [f"{number}.nii.gz" for number in range(12)]
    for name in names:
        scan = random.normal(40, 30, (20, 24, 16)).astype(np.float32)
        scan[:4] = -1000 if kind == "CT" else 0
        nib.save(nib.Nifti1Image(scan, np.diag([2.0, 2.0, 3.0, 1.0])), root / name)
    write_table(root, names, ["no"] * 10 + ["yes"] * 2)
    return root


@pytest.mark.parametrize("kind", ["CT", "MR"])
def test_volumes_of_a_table_are_planned(plan: Plan, tmp_path: Path, kind: str) -> None:
    (tmp_path / "data").mkdir()
    root = write_scans(tmp_path / "data", kind)
    code, text, said = plan(root, *UNETR, "-o", tmp_path / "mine.yaml")
    assert code == 0, said
    text, host = (tmp_path / "mine.yaml").read_text(), make_host()
    task = read(text)
    assert check_task(load_task(tmp_path / "mine.yaml", host), host).input_info.size == (32, 32, 16)
    assert task["dataset"]["spacing"] == [2.0, 2.0, 3.0]
    if kind == "CT":  # of what is not air
        assert task["dataset"]["window"] == pytest.approx([40 - 2.58 * 30, 40 + 2.58 * 30], abs=8)
    else:
        assert task["dataset"]["normalize"] == "zscore"
    assert task["train"]["balance"] == "classes"
    assert "10 cases of no, 2 of yes" in text
    assert "yes: 2 of 12 cases" in text


def test_numbers_and_findings_of_a_table_are_planned(plan: Plan, tmp_path: Path) -> None:
    generate_heads(tmp_path / "heads", HeadsOptions(patients=8, size=(16, 16, 16)))
    code, text, said = plan(tmp_path / "heads", *UNETR, *sets("dataset.value_columns={age: years}"))
    assert code == 0, said
    assert read(text)["head"]["name"] == "regression"
    assert "balance" not in read(text)["train"]
    assert "years (mean" in unwrapped(text)
    generate_cells(tmp_path / "cells", CellsOptions(patients=10))
    code, text, said = plan(tmp_path / "cells", *UNETR, *sets("dataset.label_columns=[mitosis, vacuole]"))
    assert code == 0, said
    assert "mitosis: " in text
    assert read(text)["dataset"]["size"] == [48, 48]  # of 40 x 48
    code, _, said = plan(tmp_path / "cells", *UNETR)
    assert code == 4
    assert "say what to predict" in said
    code, _, said = plan(tmp_path / "cells")
    assert code == 2
    assert "name a backbone" in said


def test_class_folders_of_images_are_planned(plan: Plan, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("left eye", "right eye"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 4096, (40, 48), dtype=np.uint16)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    code, text, said = plan(tmp_path / "data", *UNETR)
    assert code == 0, said
    task = read(text)["dataset"]
    assert task["name"] == "images"
    assert task["channels"] == 1
    assert task["window"] == pytest.approx([20, 4075], abs=15)  # 16 bits, of which 12 are used
    assert not any("flip" in change["name"] for change in task["augment"])
    assert plan(tmp_path / "data", *UNETR, "--splits")[0] == 0
    assert (tmp_path / "data" / "splits_final.json").is_file()


def test_folders_are_told_apart(tmp_path: Path) -> None:
    for folder, suffix in (("images", ".png"), ("masks", ".png"), ("imagesTr", ".nii.gz"), ("labelsTr", ".nii.gz")):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        (tmp_path / "pairs" / folder / f"a{suffix}").write_bytes(b"")
    assert is_of_images(tmp_path / "pairs") is None
    assert is_of_volumes(tmp_path / "pairs") is None
    for folder in ("healthy", "ill"):
        (tmp_path / "classes" / "train" / folder).mkdir(parents=True)
        (tmp_path / "classes" / "train" / folder / "a.nii.gz").write_bytes(b"")
    assert is_of_volumes(tmp_path / "classes") == {}
    assert is_of_images(tmp_path / "classes") is None
    assert is_of_images(tmp_path) is None
