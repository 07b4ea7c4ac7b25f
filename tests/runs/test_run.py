"""A whole run, seen from what it leaves behind."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import nibabel as nib
import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor

import medvid
from medvid.errors import CheckpointError, ConfigError, DataError, LockedError, ResourceError
from medvid.models.model import Model
from medvid.runs.api import Run
from medvid.runs.folder import read_metrics


def test_the_folder_holds_everything(finished: Run) -> None:
    folder = finished.folder
    assert folder.path.parent.name == "tiny"
    assert "demo" in folder.name
    assert {path.name for path in folder.path.iterdir()} >= {
        "task.yaml", "resolved.yaml", "metrics.jsonl", "checkpoints", "cases.csv", "predictions", "figures",
        "environment.json", "data.json", "run.log", "summary.json",
    }  # fmt: skip
    assert [path.name for path in sorted(folder.checkpoints.iterdir())] == ["step-00000006", "step-00000007"]


def test_the_summary_is_for_scripts(finished: Run) -> None:
    summary = finished.summary
    assert summary["status"] == "finished"
    assert summary["data"] == "demo"
    assert summary["step"] in (6, 7)
    assert 0 <= summary["metrics"]["dice"] <= 1
    assert summary["best"] == f"checkpoints/step-{summary['step']:08d}"
    assert summary["versions"]["torch"]
    assert summary["notes"]


def test_metrics_are_logged_at_their_steps(finished: Run) -> None:
    steps: dict[str, list[int]] = {}
    for record in read_metrics(finished.folder.metrics):
        steps.setdefault(record["split"], []).append(record["step"])
    assert steps["train"] == [2, 3, 4, 6, 7]  # every 2 steps, and where a checkpoint ends a stretch
    assert steps["validation"] == [6, 7]


def test_every_organ_of_every_case_has_a_row(finished: Run) -> None:
    with finished.folder.cases.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert {row["case"] for row in rows} == {"img0004"}


def test_predictions_are_on_the_grid_of_the_files(finished: Run) -> None:
    [prediction] = (finished.folder.path / "predictions").iterdir()
    image = nib.load(finished.task().dataset.root / "img" / prediction.name)
    written = nib.load(prediction)
    assert written.shape == image.shape
    assert np.allclose(written.affine, image.affine, atol=1e-4)


def test_the_run_is_in_mlflow(finished: Run, tracking_uri: str) -> None:
    run = mlflow.MlflowClient(tracking_uri).get_run(finished.summary["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == finished.folder.name
    assert run.data.tags["data"] == "demo"
    assert run.data.params["train.optimizer.lr"] == "0.002"
    assert run.data.metrics["validation/dice"] == read_metrics(finished.folder.metrics)[-1]["values"]["dice"]


def test_the_resolved_task_loads_to_the_same_task(finished: Run) -> None:
    resolved = YAML(typ="safe").load(finished.folder.resolved)
    assert resolved["train"]["optimizer"]["betas"] == [0.9, 0.999]
    assert finished.task().train.schedule.warmup_steps == 2


def test_evaluating_again_gives_the_same_figures(finished: Run, tmp_path: Path) -> None:
    evaluation, folder = finished.evaluate(output=tmp_path)
    assert evaluation.metrics["dice"] == finished.summary["metrics"]["dice"]
    assert json.loads((folder / "summary.json").read_text())["protocol"] == "medvid"


def test_evaluating_by_another_protocol(finished: Run, tmp_path: Path) -> None:
    overrides = {"evaluation.protocol": "unetr", "evaluation.blending": "constant"}
    evaluation, _ = finished.evaluate(checkpoint="last", overrides=overrides, output=tmp_path)
    assert evaluation.step == 7
    assert any("protocol unetr" in note for note in evaluation.notes)


def test_there_is_no_such_checkpoint(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint '5'"):
        finished.evaluate(checkpoint="5", output=tmp_path)


@pytest.fixture
def scan(finished: Run, tmp_path: Path) -> Path:
    """A scan with another shape, spacing and axis order than any of the training, and with a name in its header."""
    [source] = (finished.task().dataset.root / "img").glob("img0004.nii.gz")
    image = nib.load(source)
    data = np.asarray(image.dataobj)[:, ::-1, 2:-1].transpose(2, 0, 1)
    affine = image.affine @ np.array([[0, 1, 0, 0], [0, 0, -1, image.shape[1] - 1], [1, 0, 0, 2], [0, 0, 0, 1]])
    scan = nib.Nifti1Image(data, affine)
    scan.header["descrip"] = b"Jane Doe"
    path = tmp_path / "scan.nii.gz"
    nib.save(scan, path)
    return path


def test_predicting_a_new_scan_on_its_own_grid(finished: Run, scan: Path, tmp_path: Path) -> None:
    [(case, prediction)] = finished.predict([scan], tmp_path / "out", probabilities=True)
    assert case == "scan"
    labels, image = nib.load(prediction.files[0]), nib.load(scan)
    assert labels.shape == image.shape
    assert np.allclose(labels.affine, image.affine, atol=1e-4)
    assert set(np.unique(labels.dataobj)) <= set(range(14))
    assert b"Jane" not in labels.to_bytes()
    probabilities = nib.load(prediction.files[1])
    assert prediction.files[1].relative_to(tmp_path / "out").as_posix() == "probabilities/scan.nii.gz"
    assert probabilities.shape == (*image.shape, 14)
    assert np.array_equal(probabilities.affine, labels.affine)
    values = probabilities.get_fdata()
    assert np.allclose(values.sum(axis=-1), 1, atol=14 / 255)
    chosen = np.take_along_axis(values, labels.get_fdata().astype(int)[..., None], axis=-1)[..., 0]
    assert np.array_equal(chosen, values.max(axis=-1))
    by = json.loads((tmp_path / "out/predictions.json").read_text())
    assert (by["run"], len(by["names"]), by["names"][0]) == (finished.folder.name, 14, "background")
    assert "medvid" in by["plugins"]
    assert prediction.files[2].suffix == ".png"


def test_predictions_never_overwrite_their_inputs(finished: Run, scan: Path) -> None:
    for given in (scan, scan.parent):
        with pytest.raises(ConfigError, match="over their inputs"):
            list(finished.predict([given], scan.parent))


def test_predicting_needs_no_training_data(finished: Run, scan: Path, tmp_path: Path) -> None:
    overrides = ["dataset.root=/absent", "dataset.cache=elsewhere"]
    assert len(list(finished.predict([scan], tmp_path / "out", overrides=overrides))) == 1


def test_out_of_memory_is_told_with_what_to_do(
    finished: Run, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Model, input: Tensor) -> Tensor:
        raise torch.OutOfMemoryError(f"CUDA out of memory with {len(input)} windows")

    monkeypatch.setattr(Model, "forward", refuse)
    with pytest.raises(ResourceError, match=r"out of memory: .* with 1 windows") as caught:
        finished.evaluate(output=tmp_path / "evaluated")
    assert "evaluation.window_batch" in caught.value.hint
    with pytest.raises(ResourceError, match=r"out of memory: .* with 1 windows"):
        list(finished.predict([scan], tmp_path / "out"))
    assert not (tmp_path / "evaluated").exists()
    assert not list(tmp_path.glob("out/*.nii.gz"))


def test_predicting_a_broken_file_names_it_and_keeps_the_others(finished: Run, scan: Path, tmp_path: Path) -> None:
    broken = tmp_path / "zz_broken.nii.gz"
    broken.write_bytes(scan.read_bytes()[:1000])
    with pytest.raises(DataError, match="zz_broken"):
        list(finished.predict([scan, broken], tmp_path / "out"))
    assert (tmp_path / "out" / "scan.nii.gz").exists()


def test_predicting_goes_on_where_it_stopped_and_mixes_nothing(finished: Run, scan: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(scan, folder / f"{name}.nii.gz")
    stopped = finished.predict([folder], out, overrides=["evaluation.figures=0"])
    assert next(stopped)[0] == "a"
    assert not list(out.glob("b*"))
    stopped.close()
    reached: list[tuple[int, int]] = []
    again = finished.predict(
        [folder],
        out,
        overrides=["evaluation.figures=0"],
        progress=lambda _, done, total: reached.append((done, total)),
    )
    assert [case for case, _ in again] == ["b"]
    assert reached == [(1, 2), (2, 2)]
    written = (out / "a.nii.gz").stat().st_mtime_ns
    redone = finished.predict([folder], out, overrides=["evaluation.figures=0"], overwrite=True)
    assert [case for case, _ in redone] == ["a", "b"]
    assert (out / "a.nii.gz").stat().st_mtime_ns > written
    with pytest.raises(ConfigError, match=r"of other weights or options: changes .*evaluation\.overlap"):
        list(finished.predict([folder], out, overrides=["evaluation.figures=0", "evaluation.overlap=0.3"]))
    with pytest.raises(ConfigError, match=r"of other weights or options: changes .*train\.precision"):
        list(finished.predict([folder], out, overrides=["evaluation.figures=0", "train.precision=bf16"]))
    with pytest.raises(ConfigError, match="would be written over their inputs or among them"):
        list(finished.predict([folder], folder / "below"))


def test_a_folder_in_use_is_locked(finished: Run) -> None:
    program = f"""
from pathlib import Path
from medvid.runs.folder import RunFolder
from medvid.errors import LockedError
try:
    with RunFolder(Path({str(finished.folder.path)!r})).lock():
        print("locked")
except LockedError as error:
    print(error)
"""
    with finished.folder.lock():
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "in use by process" in done.stdout
    assert LockedError.exit_code == 7


def test_what_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        medvid.load_run(tmp_path)


def test_a_run_without_a_checkpoint_says_so(finished: Run, tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(finished.folder.resolved.read_text())
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        medvid.load_run(tmp_path).evaluate()


def test_evaluations_with_other_options_are_kept_apart(finished: Run, tmp_path: Path) -> None:
    copy = medvid.load_run(shutil.copytree(finished.folder.path, tmp_path / "copy"))
    folders = [copy.evaluate(overrides={"evaluation.overlap": overlap})[1] for overlap in (0.25, 0.3)]
    assert len(set(folders)) == 2
    summary = json.loads((folders[0] / "summary.json").read_text())
    assert summary["changes"] == {"evaluation.overlap": 0.25}


def test_a_missing_split_is_refused_before_a_run_folder_is_made(tiny_task: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'") as caught:
        medvid.run(tiny_task, {"evaluation.split": "test"})
    assert "evaluation.split" in caught.value.hint
    assert not Path("runs").exists()


def test_a_run_that_stops_early_is_finished_and_says_so(small_task: Path, caplog: pytest.LogCaptureFixture) -> None:
    early = {"train.steps": 9, "train.stop_early": {"patience": 2, "min_delta": 2}}
    run = medvid.run(small_task, early)
    summary = run.summary
    assert (summary["status"], summary["trained"], summary["stopped_early"]) == ("finished", 3, True)
    note = "stopped early, after step 3 of 9: in 2 validations dice has not risen by more than 2"
    assert note in summary["notes"]
    assert note in caplog.messages
    assert medvid.resume(run.folder.path).summary["trained"] == 3
    assert not (run.folder.checkpoints / "step-00000004").exists()
    with pytest.raises(ConfigError, match=r"set evaluation\.every"):
        medvid.run(small_task, {**early, "evaluation.every": None})
