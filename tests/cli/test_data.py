"""`platform data`."""

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

TASK = """\
name: mine
dataset: {name: videos, root: data, cache: cache, frames: 4, size: 32, validation_fraction: 0.4}
backbone: {name: unetr, img_size: [16, 16, 16], hidden_size: 12, num_heads: 2, mlp_dim: 12, num_layers: 4, taps: [1, 2]}
head: {name: classification}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
"""


@pytest.fixture(autouse=True)
def _task(films: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.yaml").write_text(TASK)
    film = films.write(Path("data/a/1.mp4"), films.numbered(12))
    for name in ("a/2.mp4", "a/3.mp4", "b/4.mp4", "b/5.mp4"):
        Path("data", name).parent.mkdir(exist_ok=True)
        shutil.copy(film, Path("data", name))


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def test_good_videos_are_checked_without_writing(platform: Any) -> None:
    before = files()
    result = platform("data", "check", "task.yaml", "--workers", 1)
    assert result.code == 0
    assert result.out.startswith("all 5 cases in data can be used; --deep also decodes all frames, not only the first ")
    deep = platform("data", "check", "task.yaml", "--deep", "--split", "train", "--workers", 1)
    assert deep.out == "all 3 cases in data can be used\n"
    assert [path for path in files() if not path.startswith("cache")] == before


def test_what_is_not_a_file_is_named_and_not_waited_for(platform: Any) -> None:
    os.mkfifo("data/a/pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("data/a/socket.mp4")
        Path("data/b/device.mp4").symlink_to("/dev/zero")
        Path("data/b/folder.mp4").mkdir()
        code, out, _ = platform("data", "check", "task.yaml", "--workers", 1)
    assert code == 4
    assert sorted(out.splitlines()) == [
        "case a/pipe.mp4: it is a pipe, not a file",
        "case a/socket.mp4: it is a socket, not a file",
        "case b/device.mp4: it is a device, not a file",
    ]


def test_all_bad_videos_are_listed(platform: Any) -> None:
    whole = Path("data/a/1.mp4").read_bytes()
    Path("data/a/2.mp4").write_bytes(whole[: len(whole) // 2])
    Path("data/b/4.mp4").write_text("quota exceeded")
    Path("data/b/5.mp4").write_bytes(b"")
    code, out, err = platform("data", "check", "task.yaml", "--workers", 1)
    assert code == 4
    lines = sorted(out.splitlines())
    assert lines[0].startswith("case a/2.mp4: it is truncated")
    assert lines[1:] == ["case b/4.mp4: it is a text file, not a video", "case b/5.mp4: it is empty (0 bytes)"]
    assert "error[DATA]: 3 of 5 cases in data cannot be used" in err


def test_missing_files_of_a_list_are_listed_too(platform: Any) -> None:
    Path("data/train.csv").write_text("a/1.mp4 0\ngone.mp4 1\n")
    code, out, _ = platform("data", "check", "task.yaml", "--workers", 1)
    assert (code, out) == (4, "case gone.mp4: it does not exist\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--set", "dataset.root=gone"], 4, "error[DATA]: dataset.root, the folder of 'videos', does not exist: gone"),
        (["--split", "test"], 2, "error[CONFIG]: there is no split 'test'"),
        (["--set", "dataset={name: nifti, root: data, labels: [a, b]}"], 4, "no cases found in data"),
        (["--set", "dataset={name: kinetics, root: gone, if_missing: demo, cache: empty}"], 4, "does not exist"),
    ],
)
def test_what_cannot_be_checked(platform: Any, arguments: list[str], code: int, message: str) -> None:
    result = platform("data", "check", "task.yaml", *arguments)
    assert result.code == code
    assert message in result.err


VOLUMES = {"name": "nifti", "root": "volumes", "labels": ["background", "organ"], "cache": "cache"}


def save_volume(path: str, data: np.ndarray, affine: np.ndarray | None = None) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine), path)


def test_volumes_that_a_run_could_not_use_are_listed(platform: Any) -> None:
    scan = np.random.default_rng(0).integers(-100, 200, (12, 12, 12), np.int16)
    label = (scan > 50).astype(np.uint8)
    for number in range(8):
        save_volume(f"volumes/images/p{number}.nii.gz", scan + number)
        save_volume(f"volumes/labels/p{number}.nii.gz", label)
    save_volume("volumes/labels/p1.nii.gz", label * 3)
    save_volume("volumes/labels/p2.nii.gz", label, np.diag([-1.0, 1, 1, 1]))
    save_volume("volumes/images/p3.nii.gz", np.full_like(scan, 7))
    whole = Path("volumes/images/p4.nii.gz").read_bytes()
    Path("volumes/images/p4.nii.gz").write_bytes(whole[: len(whole) // 2])
    save_volume("volumes/labels/p5.nii.gz", np.zeros_like(label))
    before = files()
    for workers in (1, 2):
        result = platform("data", "check", "task.yaml", "--set", f"dataset={json.dumps(VOLUMES)}", "--workers", workers)
        assert result.code == 4
        assert [line[:7] for line in sorted(result.out.splitlines())] == [f"case p{n}" for n in range(1, 5)]
        assert "error[DATA]: 4 of 8 cases in volumes cannot be used" in result.err
        assert "case p5: its label map is empty" in result.err
    assert files() == before


def test_volumes_are_divided_into_folds_by_patient(platform: Any) -> None:
    scan = np.random.default_rng(0).integers(-100, 200, (12, 12, 12), np.int16)
    for number in range(6):
        name = f"patient{number // 2}_{number % 2}.nii.gz"
        save_volume(f"volumes/imagesTr/{name}", scan + number)
        save_volume(f"volumes/labelsTr/{name}", (scan > 50).astype(np.uint8) * (number > 1))
    asked = ["data", "splits", "task.yaml", "--set", f"dataset={json.dumps(VOLUMES)}", "--folds", 3]
    made = platform(*asked, "--group", r"patient\d", "--stratify", "labels")
    assert made.code == 0
    assert made.out.splitlines() == [
        "fold          0  1  2  all",
        "cases         2  2  2  6",
        "groups        1  1  1  3",
        "none of them  2  0  0  2",
        "organ         0  2  2  4",
        "volumes/splits_final.json: 3 folds of 6 cases; train on one: --set dataset.fold=0",
    ]
    folds = json.loads(Path("volumes/splits_final.json").read_text())
    assert sorted(fold["val"] for fold in folds) == [[f"patient{one}_0", f"patient{one}_1"] for one in range(3)]
    chosen = f"dataset={json.dumps(VOLUMES | {'fold': 2})}"
    assert platform("data", "check", "task.yaml", "--set", chosen, "--split", "validation").out.startswith(
        "all 2 cases"
    )
    assert "splits_final.json exists" in platform(*asked).err
    assert "6 cases cannot make 9 folds" in platform(*asked[:-1], 9, "-o", "other.json").err
    assert "leave one out" in platform(*asked, "--group", "x", "--group-column", "y", "-o", "other.json").err


def test_images_are_divided_and_new_ones_added_to_the_folds(platform: Any) -> None:
    def add(*lines: str) -> None:
        with Path("pictures/labels.csv").open("a", encoding="utf-8") as table:
            table.writelines(f"{line}\n" for line in lines)
        for line in lines:
            if line.endswith("png") or ".png," in line:
                Image.fromarray(np.full((8, 8), len(line), np.uint8)).save(f"pictures/{line.partition(',')[0]}")

    Path("pictures").mkdir()
    add("path,patient,ward,diagnosis", *(f"{n}.png,p{n // 2},w{n % 3},{'ill' if n < 4 else 'well'}" for n in range(12)))
    dataset = "dataset={name: images, root: pictures, size: [8, 8]}"
    asked = ["data", "splits", "task.yaml", "--set", dataset, "--set", "head=classification", "--stratify", "labels"]
    made = platform(*asked, "--folds", 2, "-o", "splits.json")
    assert made.out.splitlines() == [
        "fold    0  1  all",
        "cases   6  6  12",
        "groups  3  3  6",
        "ill     2  2  4",
        "well    4  4  8",
        "splits.json: 2 folds of 12 cases; train on one: --set 'dataset.fold={file: splits.json, index: 0}'",
    ]
    before = json.loads(Path("splits.json").read_text())
    add("new.png,p0,w0,ill", "other.png,p9,w0,well")
    assert platform(*asked, "--extend", "splits.json", "-o", "splits.json", "--folds", 5).code == 2
    assert platform(*asked, "--extend", "splits.json", "-o", "splits.json").code == 0
    after = json.loads(Path("splits.json").read_text())
    assert all(set(old["val"]) <= set(new["val"]) for old, new in zip(before, after, strict=True))
    assert [{"0.png", "new.png"} <= set(fold["val"]) for fold in after].count(True) == 1
    fold = "dataset.fold={file: splits.json, index: 1}"
    held_out = platform("data", "check", *asked[2:7], "--set", fold, "--split", "validation")
    assert held_out.out == f"all {len(after[1]['val'])} cases in pictures can be used\n"
    refused = platform(*asked, "--group-column", "ward", "--folds", 3, "-o", "wards.json")
    assert refused.code == 4
    assert "fold 0: patients of whom some cases are trained on and others held out" in refused.err


def test_a_fold_that_contradicts_the_data_or_the_task_is_refused_with_its_place(platform: Any) -> None:
    for number in range(4):
        for folder in ("images", "masks"):
            Path("pictures", folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), 255 * (number % 2), np.uint8)).save(f"pictures/{folder}/p{number}.png")
    asked = ["data", "check", "task.yaml", "--set", "head={name: pixel}"]
    dataset = {"name": "image_masks", "root": "pictures", "size": [8, 8], "fold": {"file": "splits.json", "index": 0}}
    Path("splits.json").write_text(json.dumps([{"train": ["p0", "p9"], "val": ["p1"]}]))
    refused = platform(*asked, "--set", f"dataset={json.dumps(dataset)}")
    assert refused.code == 4
    assert "fold 0 of splits.json: train names 1 cases that do not exist: p9" in refused.err
    dataset["validation_fraction"] = 0.5
    refused = platform(*asked, "--set", f"dataset={json.dumps(dataset)}")
    assert refused.code == 2
    assert "--set dataset=" in refused.err
    assert "validation_fraction, 0.5, has to be left out or its default, 0.2" in refused.err


def test_images_that_a_run_could_not_use_are_listed(platform: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24), np.uint8)
    for number in range(6):
        for folder, content in (("images", pixels), ("masks", (pixels > 100) * np.uint8(255))):
            Path("pictures", folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(Path("pictures", folder, f"p{number}.png"))
    Image.fromarray(pixels[:10]).save("pictures/masks/p1.png")
    whole = Path("pictures/images/p2.png").read_bytes()
    Path("pictures/images/p2.png").write_bytes(whole[: len(whole) // 2])
    before = files()
    dataset = "dataset={name: image_masks, root: pictures, size: [16, 16]}"
    result = platform("data", "check", "task.yaml", "--set", dataset, "--set", "head={name: pixel}")
    assert result.code == 4
    assert [line[:7] for line in result.out.splitlines()] == ["case p1", "case p2"]
    assert files() == before


def test_videos_are_reencoded_and_failures_listed(platform: Any) -> None:
    result = platform("data", "reencode", "data", "-o", "small", "--side", 32, "--workers", 1)
    assert (result.code, result.out) == (0, "all videos of data are in small; use it as dataset.root\n")
    assert platform("data", "check", "task.yaml", "--set", "dataset.root=small", "--workers", 1).code == 0
    Path("data/b/6.mp4").write_bytes(b"")
    code, out, err = platform("data", "reencode", "data", "-o", "small", "--side", 32, "--workers", 1)
    assert (code, out) == (4, "b/6.mp4: it is empty (0 bytes)\n")
    assert "error[DATA]: 1 videos in data could not be re-encoded; all others are in small" in err
    assert platform("data", "reencode", "data", "-o", "small", "--gop", 6).code == 4


@pytest.mark.parametrize("output", ["task.yaml", "task.yaml/below"])
def test_videos_are_not_reencoded_into_a_file(platform: Any, output: str) -> None:
    result = platform("data", "reencode", "data", "-o", output)
    assert result.code == 2
    assert "task.yaml is a file, not a folder" in result.err
