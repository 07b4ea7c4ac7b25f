"""What a run remembers: its cases and its options. Nothing else is trained or scored in their name."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.runs.conftest import SMALL, content_of, draw_images

import medvid
from medvid.cli.main import main
from medvid.data.fold_files import Fold, write_folds
from medvid.errors import ConfigError
from medvid.runs.api import Run
from medvid.runs.folder import PRIVATE, RunFolder
from medvid.runs.origin import read_origin


def scored(folder: Path) -> set[str]:
    return {line.partition(",")[0] for line in (folder / "cases.csv").read_text().splitlines()[1:]}


def held_out(run: Run) -> set[str]:
    origin = read_origin(run.folder)
    assert origin
    return set(origin.cases("validation"))


def test_it_remembers_every_case_by_name_and_content(small: Run) -> None:
    origin = read_origin(small.folder)
    assert origin
    assert {case for cases in origin.splits.values() for case in cases} == set("abcdef")
    assert len({known.content for cases in origin.splits.values() for known in cases.values()}) == 6
    assert held_out(small) == scored(small.folder.path)
    assert origin.plugins["medvid"]


def test_new_patients_do_not_change_what_is_scored(small: Run, caplog: pytest.LogCaptureFixture) -> None:
    before = held_out(small)
    draw_images(Path("own"), "ghijkl")
    evaluation, folder = small.evaluate()
    assert scored(folder) == before
    assert evaluation.metrics["dice"] == small.summary["metrics"]["dice"]
    [note] = [note for note in evaluation.notes if "split differently now" in note]
    assert note in json.loads((folder / "summary.json").read_text())["notes"]
    assert note in caplog.text


@pytest.mark.parametrize("damage", ["image", "mask", "gone"])
def test_a_held_out_case_that_changed_is_refused_with_a_way_out(
    small: Run, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    case = min(held_out(small))
    if damage == "gone":
        Path(f"own/images/{case}.png").unlink()
        Path(f"own/masks/{case}.png").unlink()
    else:
        other = draw_images(Path("other"), case, seed=1)
        shutil.copy(other / f"{damage}s/{case}.png", f"own/{damage}s/{case}.png")
    before = content_of(small.folder.path)
    assert main(["evaluate", str(small.folder.path)]) == 4
    error = capfd.readouterr().err
    assert case in error
    assert "--data" in error
    assert content_of(small.folder.path) == before
    assert main(["evaluate", str(small.folder.path), "--data", "own", "--trained", "leave-out"]) == 0
    [folder] = (small.folder.path / "evaluations").iterdir()
    assert scored(folder) == held_out(small) - ({case} if damage == "gone" else set())


def test_another_folder_is_scored_whole_and_named_so(small: Run) -> None:
    draw_images(Path("hospital"), ["p1", "p2", "p3", "p4"], seed=3)
    evaluation, folder = small.evaluate(data=Path("hospital"))
    summary = json.loads((folder / "summary.json").read_text())
    assert scored(folder) == {"p1", "p2", "p3", "p4"}
    assert evaluation.split == summary["split"] == summary["data"] == "external"
    assert summary["cases"] == 4
    assert summary["folder"] == "hospital"
    assert folder.name.startswith("external-medvid-")
    again, elsewhere = small.evaluate(data=draw_images(Path("clinic"), ["p1"], seed=4))
    assert elsewhere != folder
    assert len(again.rows) == 1


def test_copies_of_training_cases_in_another_folder(small: Run, capfd: pytest.CaptureFixture[str]) -> None:
    trained = min(set("abcdef") - held_out(small))
    draw_images(Path("hospital"), ["p1", "p2"], seed=3)
    shutil.copy(f"own/images/{trained}.png", "hospital/images/new.png")
    shutil.copy("hospital/masks/p1.png", "hospital/masks/new.png")  # somebody has outlined it again
    assert main(["evaluate", str(small.folder.path), "--data", "hospital"]) == 4
    error = capfd.readouterr().err
    assert f"new = {trained}" in error
    assert "--trained leave-out" in error
    evaluation, folder = small.evaluate(data=Path("hospital"), trained="leave-out")
    assert scored(folder) == {"p1", "p2"}
    assert any("left out: new" in note for note in evaluation.notes)
    evaluation, folder = small.evaluate(data=Path("hospital"), trained="score")
    assert scored(folder) == {"p1", "p2", "new"}
    assert any("1 of 3 scored cases were trained on (new)" in note for note in evaluation.notes)


def test_training_cases_are_never_scored_without_a_word(small: Run) -> None:
    evaluation, folder = small.evaluate(overrides={"evaluation.split": "train"})
    assert scored(folder) == set("abcdef") - held_out(small)
    assert any("scored cases were trained on" in note for note in evaluation.notes)


@pytest.mark.usefixtures("working_directory")
def test_a_run_that_validates_on_training_cases_says_so() -> None:
    draw_images(Path("own"), "ab")
    run = medvid.run(SMALL, {"dataset.split": {"train": ["a", "b"], "validation": ["a", "b"]}, "train.steps": 1})
    assert any("2 of 2 scored cases were trained on (a, b)" in note for note in run.summary["notes"])


def test_an_evaluation_takes_the_place_of_an_earlier_one_only_when_it_is_done(small: Run) -> None:
    _, folder = small.evaluate()
    (folder / "old").touch()
    _, again = small.evaluate()
    assert again == folder
    assert not (folder / "old").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    with pytest.raises(ConfigError, match="not an empty folder"):
        small.evaluate(output=folder)


CHANGES = {
    "rate": ("lr: 0.002", "lr: 0.02", "train.optimizer.lr is 0.02, was 0.002"),
    "seed": ("seed: 1\n", "seed: 2\n", "seed is 2, was 1"),
    "batch": ("batch_size: 2", "batch_size: 1", "train.batch_size is 1, was 2"),
    "steps": ("steps: 3", "steps: 4", "train.steps is 4, was 3"),
    "labels": ("[background, foreground]", "[foreground, background]", 'is ["foreground", "background"], was'),
    "width": ("embed_dim: 16", "embed_dim: 32", "backbone.embed_dim is 32, was 16"),
}


@pytest.mark.parametrize(("old", "new", "told"), CHANGES.values(), ids=CHANGES)
def test_an_edited_task_is_refused_by_key(
    small: Run, old: str, new: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    resolved = small.folder.resolved
    assert old in resolved.read_text()
    resolved.write_text(resolved.read_text().replace(old, new, 1))
    before = content_of(small.folder.path)
    assert main(["run", "--resume", str(small.folder.path)]) == 2
    assert told in capfd.readouterr().err
    assert content_of(small.folder.path) == before
    for command in (["evaluate", str(small.folder.path)], ["predict", str(small.folder.path), "own/images"]):
        assert main(command) == 2


def test_data_that_moved_and_other_workers_are_no_difference(small: Run) -> None:
    Path("own").rename("moved")
    resolved = small.folder.resolved
    resolved.write_text(resolved.read_text().replace("/own\n", "/moved\n").replace("workers: 0", "workers: 1"))
    assert "/moved" in resolved.read_text()
    before = small.summary["metrics"]
    assert medvid.resume(small.folder.path).summary["metrics"] == before


def test_another_precision_than_that_of_the_training_is_told(small: Run, caplog: pytest.LogCaptureFixture) -> None:
    origin = read_origin(small.folder)
    assert origin
    assert origin.precision == "fp32"
    small.evaluate()
    assert "computes in" not in caplog.text
    small.evaluate(overrides={"train.precision": "bf16"})
    assert "was trained in fp32 and computes in bf16 here" in caplog.text
    replace(origin, precision="bf16").write(small.folder.origin)
    medvid.resume(small.folder.path)
    assert "began in bf16 and continues in fp32" in caplog.text


def test_resuming_goes_on_with_the_cases_that_the_run_began_with(small: Run) -> None:
    weights = content_of(small.folder.checkpoints)
    last = small.folder.checkpoints / "step-00000003"
    shutil.rmtree(last)
    draw_images(Path("own"), "ghijkl")
    resumed = medvid.resume(small.folder.path)
    assert content_of(resumed.folder.checkpoints) == weights
    assert "split differently now" in resumed.folder.log.read_text()


@pytest.mark.usefixtures("working_directory")
def test_a_run_keeps_its_fold_whatever_becomes_of_the_file() -> None:
    draw_images(Path("own"), "abcdef")
    file = Path("splits.json")
    folds: list[Fold] = [{"train": ["a", "c", "e"], "val": ["b", "d", "f"]}, {"train": ["b", "d"], "val": ["a"]}]
    write_folds(file, folds)
    own = {"dataset.validation_fraction": 0.2, "dataset.fold": {"file": "splits.json", "index": 1}}
    run = medvid.run(SMALL, own)
    origin = read_origin(run.folder)
    assert origin
    assert (origin.cases("train"), held_out(run)) == (("b", "d"), {"a"})
    assert origin.fold["index"] == 1
    data = json.loads(run.folder.data.read_text())
    assert {split["fold"]["digest"] for split in data.values()} == {origin.fold["digest"]}
    assert json.loads(run.folder.origin.read_text())["task"]["dataset"]["fold"]["file"] == str(file.absolute())
    weights = content_of(run.folder.checkpoints)
    shutil.rmtree(run.folder.checkpoints / "step-00000003")
    write_folds(file, [folds[1], folds[0]])
    resumed = medvid.resume(run.folder.path)
    assert content_of(resumed.folder.checkpoints) == weights
    log = resumed.folder.log.read_text()
    assert "split differently now" in log
    assert "splits.json changed since the run started; the run's own split is used" in log
    file.unlink()
    evaluation, folder = resumed.evaluate()
    assert scored(folder) == {"a"}
    assert any("splits.json does not exist" in note for note in evaluation.notes)


@pytest.mark.usefixtures("working_directory")
def test_a_split_without_labels_is_refused_before_anything_is_trained(capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for folder, names in (("imagesTr", "abc"), ("labelsTr", "abc"), ("imagesTs", "de")):
        Path("own", folder).mkdir(parents=True)
        for name in names:
            data = random.integers(0, 2, (16, 16, 16)).astype(np.uint8)
            channel = "" if folder == "labelsTr" else "_0000"
            nib.save(nib.Nifti1Image(data, np.eye(4)), f"own/{folder}/{name}{channel}.nii.gz")
    Path("task.yaml").write_text(
        "name: small\ndataset: {name: nifti, root: own, cache: cache, labels: [background, one], "
        "patch: {size: [16, 16, 16]}}\n"
        "backbone: {name: unetr, img_size: [16, 16, 16], patch_size: 8, hidden_size: 8, mlp_dim: 8, num_heads: 2, "
        "num_layers: 2, taps: [0]}\nhead: {name: unetr_decoder, feature_size: 2}\n"
        "train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-3}}\nevaluation: {split: test}\n"
    )
    for command in ("run", "check"):
        assert main([command, "task.yaml"]) == 4
        error = capfd.readouterr().err
        assert "2 of 2 cases of the split 'test' cannot be scored" in error
        assert "d, e" in error
    assert not Path("runs").exists()


@pytest.mark.usefixtures("working_directory")
def test_a_run_that_never_began_leaves_no_folder(capfd: pytest.CaptureFixture[str]) -> None:
    draw_images(Path("own"), "abcd")
    Path("own/masks/b.png").write_bytes(b"\x89PNG broken")
    assert main(["run", str(SMALL)]) == 4
    assert "masks/b.png" in capfd.readouterr().err
    assert not Path("runs").exists()
    draw_images(Path("own"), "b")
    assert main(["run", str(SMALL), "--set", "train.freeze=[{parameters: nothing.*}]"]) == 2
    assert not Path("runs").exists()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
@pytest.mark.usefixtures("working_directory")
def test_a_run_folder_is_for_its_owner_only(mask: int) -> None:
    Path("runs/t").mkdir(parents=True)
    folder = RunFolder.propose(Path("runs"), "t", "x")
    before = os.umask(mask)
    try:
        with folder.creating("a: 1", "a: 1"):
            pass
    finally:
        os.umask(before)
    assert folder.path.stat().st_mode & 0o777 == PRIVATE == 0o700
