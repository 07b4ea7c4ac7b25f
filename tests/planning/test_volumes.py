"""Plans for folders of volumes: what decides them, and what is refused."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.planning.volumes import write_volumes

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.config.yaml import parse_file
from medvid.plugin.host import make_host

Plan = Callable[..., tuple[int, str, str]]
NAMES = [f"case_{number}" for number in range(4)]


def read(text: str) -> dict[str, Any]:
    content: dict[str, Any] = parse_file(text, "plan.yaml").data
    return content


def unwrapped(text: str) -> str:
    """With comments of several lines on one."""
    return re.sub(r"\n *# +", " ", text)


def test_a_ct_data_set_gets_nnunets_plan(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    assert plan(root, "-o", tmp_path / "mine.yaml", "--set", "seed=7")[0] == 0
    host = make_host()
    checked = check_task(load_task(tmp_path / "mine.yaml", host), host)
    task = read((tmp_path / "mine.yaml").read_text())
    assert checked.input_info.size == (24, 28, 12)
    assert task["backbone"]["strides"] == [[1, 1, 1], [2, 2, 1], [2, 2, 2]]
    assert task["backbone"]["kernels"][0] == [3, 3, 1]
    assert task["dataset"]["spacing"] == [1.0, 1.0, 3.0]
    assert task["dataset"]["normalize"][0]["name"] == "ct"
    assert task["dataset"]["patch"]["forced"] == 0.25  # of 4
    assert task["seed"] == 7
    assert "# given" in (tmp_path / "mine.yaml").read_text()
    assert plan(root, "-o", tmp_path / "mine.yaml")[0] == 2  # not overwritten


def test_patients_stay_together_in_medvids_style_and_sides_are_not_exchanged(plan: Plan, tmp_path: Path) -> None:
    names = [f"p{patient}_{visit}" for patient in range(3) for visit in "ab"]
    labels = ("background", "left kidney")
    root = write_volumes(tmp_path / "data", names, channels=("T1", "T2"), spacing=(1, 1, 1), labels=labels)
    split = read(plan(root, "--style", "medvid")[1])["dataset"]["split"]
    assert {name[:2] for name in split["train"]}.isdisjoint({name[:2] for name in split["validation"]})
    text = plan(root)[1]
    assert "names tell of 3 patients" in unwrapped(text)
    assert "flips exchange left and right" in unwrapped(text)
    assert [channel["name"] for channel in read(text)["dataset"]["normalize"]] == ["zscore", "zscore"]
    assert mirrored(read(text)) == [["R", "A", "S"]]
    for backbone in ("unet", "transunet"):
        assert mirrored(read(plan(root, "--style", "medvid", "--backbone", backbone)[1])) == [["A", "S"]]


def mirrored(task: dict[str, Any]) -> list[list[str]]:
    """Axes of each transform that mirrors."""
    return [each.get("axes", ["R", "A", "S"]) for each in task["dataset"]["augment"] if each["name"] == "flip"]


def test_a_given_voxel_size_is_planned_for(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    task = read(plan(root, "--set", "dataset.spacing=[1, 2, 3]")[1])
    assert task["dataset"]["spacing"] == [1, 2, 3]
    assert task["dataset"]["patch"]["size"] == [24, 14, 12]


def test_what_is_not_known_is_said(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES, described=False)
    code, _, said = plan(root)
    assert code == 4
    assert "labels" in said
    code, text, _ = plan(root, "--set", "dataset.labels=[background, organ]")
    assert code == 0
    assert "Not known: what the channels are" in unwrapped(text)
    assert read(text)["dataset"]["normalize"][0]["name"] == "ct"


@pytest.mark.parametrize("flat", [0, 2])
def test_single_slices_are_planned_in_two_axes(plan: Plan, tmp_path: Path, flat: int) -> None:
    shape = tuple(1 if axis == flat else 40 for axis in range(3))
    root = write_volumes(tmp_path / "data", NAMES, shape=shape, spacing=(0.5, 0.5, 0.5), channels=("MR",))
    code, text, said = plan(root)
    assert code == 0, said
    task = read(text)
    assert task["dataset"]["patch"]["size"][flat] == 1
    assert all(kernel[flat] == 1 for kernel in task["backbone"]["kernels"])
    assert task["dataset"]["spacing"] == [0.5, 0.5, 0.5]


def test_a_transformer_gets_a_patch_of_its_own(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    small = ["backbone.hidden_size=24", "backbone.mlp_dim=24", "backbone.num_heads=2"]
    small += ["backbone.num_layers=4", "backbone.taps=[0, 1]"]
    sets = [part for each in small for part in ("--set", each)]
    code, text, said = plan(root, "--backbone", "unetr", "--memory", 8, *sets)
    assert code == 0, said
    task = read(text)
    assert all(length % 16 == 0 for length in task["dataset"]["patch"]["size"])
    assert task["backbone"]["img_size"] == task["dataset"]["patch"]["size"]
    assert task["backbone"]["hidden_size"] == 24


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"names": NAMES[:1]}, [], "needs at least 2 labelled cases, one to train on and one to hold out"),
        ({"empty": True}, [], "nothing is labelled in any of the 4 cases"),
        ({"shape": (7, 7, 7)}, [], "too small for a U-Net"),
        ({}, ["--memory", "0.000001"], "no patch fits into the memory"),
        ({}, ["--memory", "0.0001"], "no patch that a U-Net could halve fits into the memory"),
        ({}, ["--backbone", "unetr", "--style", "nnunet"], "nnU-Net has no plan for the backbone unetr"),
        ({}, ["--backbone", "unettr"], "unettr"),
        ({}, ["--configuration", "3d_lowres"], "no configuration 3d_lowres"),
        ({}, ["--set", "train.step=3"], "--set train.step=3"),
        ({}, ["--set", "dataset.labels=[background, organ, other]"], "labels"),
    ],
)
def test_refusals_name_the_reason(
    plan: Plan, tmp_path: Path, change: dict[str, Any], arguments: list[str], message: str
) -> None:
    root = write_volumes(tmp_path / "data", **{"names": NAMES} | change)
    code, text, said = plan(root, *arguments)
    assert code in {2, 4, 6}
    assert not text
    assert message in said


def test_a_case_with_other_channels_is_named(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    two = np.ones((24, 26, 12, 2), np.float32)
    nib.save(nib.Nifti1Image(two, np.diag([1, 1, 3, 1])), root / "imagesTr" / "case_2_0000.nii.gz")
    code, _, said = plan(root)
    assert code == 4
    assert "case_2 has 2" in said


def test_a_case_without_voxel_size_is_named(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    path = root / "imagesTr" / "case_1_0000.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[80:92] = bytes(12)  # pixdim
    content[252:256] = bytes(4)  # codes of the affines
    path.write_bytes(gzip.compress(bytes(content)))
    code, _, said = plan(root)
    assert code == 4
    assert "case_1" in said


def test_what_is_odd_about_files_is_said(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    for path in (root / "imagesTr" / "case_1_0000.nii.gz", root / "labelsTr" / "case_1.nii.gz"):
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[80:84] = bytes(4)  # the first voxel size
        content[252:256] = bytes(4)  # codes of the affines
        path.write_bytes(gzip.compress(bytes(content)))
    code, text, said = plan(root)
    assert code == 0, said
    assert "Odd: case_1: gives no voxel size on axis 0 (pixdim 0); 1 is used" in unwrapped(text)


def test_the_folds_of_the_folder_are_used(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    (root / "splits_final.json").write_text(json.dumps([{"train": NAMES[1:], "val": NAMES[:1]}]))
    dataset = read(plan(root)[1])["dataset"]
    assert dataset["fold"] == 0
    assert "split" not in dataset


def test_folds_are_written_on_request_with_patients_together(plan: Plan, tmp_path: Path) -> None:
    names = [f"p{patient}_{visit}" for patient in range(6) for visit in "ab"]
    root = write_volumes(tmp_path / "data", names)
    path = root / "splits_final.json"
    code, text, said = plan(root, "--splits", "--memory", "0.000001")
    assert (code, path.exists()) == (6, False), said
    code, text, said = plan(root, "--splits", "--style", "medvid")
    assert code == 0, said
    folds = json.loads(path.read_text())
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(names)
    for fold in folds:
        assert {name[:2] for name in fold["train"]}.isdisjoint({name[:2] for name in fold["val"]})
    assert read(text)["dataset"]["fold"] == 0
    code, _, said = plan(root, "--splits")
    assert code == 2
    assert "has folds already" in said


def test_a_folder_of_something_else_is_refused(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    code, _, said = plan(tmp_path / "letters")
    assert code == 4
    assert "no data set recognises the folder" in said
    assert "does not exist" in plan(tmp_path / "nowhere")[2]
