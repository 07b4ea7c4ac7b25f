"""Videos through the real commands: a run, what it leaves, going on after a kill, evaluation, prediction, bad clips."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors.torch import load_file

import medvid
from medvid.cli.main import main
from medvid.errors import ConfigError, DataError
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder, read_metrics

TASK = Path(__file__).parent / "video.yaml"
MEDT = {"name": "medt", "img_size": [32, 32], "variant": "axial"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """One finished run of video.yaml; tests only read it."""
    folder = tmp_path_factory.mktemp("video")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return medvid.run(TASK)


@pytest.fixture
def task(working_directory: Path) -> Path:
    return Path(shutil.copy(TASK, working_directory))


def clips_of(run: Run) -> list[Path]:
    return sorted(run.task().dataset.root.rglob("*.mp4"))


def test_a_run_leaves_predictions_and_accuracies(video: Run) -> None:
    folder = video.folder
    with folder.cases.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert all(len(row["top5"].split("; ")) == 4 for row in rows)
    accuracy = sum(row["rank"] == "1" for row in rows) / 4
    assert video.summary["metrics"]["top1"] == accuracy
    with (folder.path / "classes.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == [
            "moving down", "moving left", "moving right", "moving up",
        ]  # fmt: skip
    assert {path.name for path in (folder.path / "figures").iterdir()} > {"confusion.png"}
    assert not (folder.path / "unreadable.json").exists()


def test_a_killed_run_ends_with_the_same_bits(
    video: Run, task: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    run = start("run", task, "--set", "train.workers=1", "--set", "output=runs")
    metrics = Path("runs/video")
    while not any(read_metrics(path) for path in metrics.glob("*/metrics.jsonl")):
        assert run.poll() is None, run.communicate()[0]
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    [path] = metrics.iterdir()
    resumed = start("run", "--resume", path)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    mine, theirs = (
        load_file(folder.checkpoints / "step-00000005" / "model.safetensors")
        for folder in (RunFolder(path.absolute()), video.folder)
    )
    assert all(mine[name].equal(theirs[name]) for name in theirs)


def test_evaluating_again_and_with_another_protocol(video: Run, tmp_path: Path) -> None:
    evaluation, folder = video.evaluate(output=tmp_path / "again")
    recorded = {name: math.nan if value is None else value for name, value in video.summary["metrics"].items()}
    assert evaluation.metrics == pytest.approx(recorded, nan_ok=True)
    assert (folder / "cases.csv").exists()
    other, _ = video.evaluate(overrides={"evaluation.protocol": "timesformer"}, output=tmp_path / "other")
    assert any("protocol timesformer" in note and "mean of logits" in note for note in other.notes)


def test_a_new_clip_is_predicted_where_the_data_set_is_not(video: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(video.folder.path, tmp_path / "run"))
    text = (copy / "resolved.yaml").read_text()
    (copy / "resolved.yaml").write_text(text.replace(str(video.task().dataset.root), "/nowhere/kinetics"))
    clip = Path(shutil.copy(clips_of(video)[0], tmp_path / "new.mp4"))
    [(case, prediction)] = medvid.load_run(copy).predict([clip], tmp_path / "out")
    assert case == "new.mp4"
    assert len(prediction.lines) == 4
    assert {path.suffix for path in prediction.files} == {".csv", ".png"}


@pytest.mark.usefixtures("working_directory")
def test_files_that_cannot_be_predicted_are_named_and_counted(video: Run, capsys: pytest.CaptureFixture[str]) -> None:
    [good, *_] = clips_of(video)
    for name, content in (("a", b"404"), ("b", good.read_bytes()), ("c", b""), ("d", good.read_bytes())):
        Path("new").mkdir(exist_ok=True)
        Path("new", f"{name}.mp4").write_bytes(content)
    run = str(video.folder.path)
    assert main(["predict", run, "new", "-o", "out"]) == 4
    shown = capsys.readouterr()
    assert [line.split(":")[0] for line in shown.out.splitlines() if ".mp4" in line] == ["b.mp4", "d.mp4"]
    first, _, end = shown.err.partition("error[DATA]: ")
    reasons = ["new/a.mp4 cannot be read: it is a text file, not a video", "new/c.mp4 cannot be read: it is empty"]
    assert all(f"not predicted: {reason}" in first for reason in reasons)
    assert end.startswith(f"2 of 4 files could not be predicted:\n  {reasons[0]}\n  {reasons[1]}")
    assert "hint" not in end
    assert len(list(Path("out").glob("*.mp4.csv"))) == 2


@pytest.mark.usefixtures("working_directory")
def test_a_prediction_that_fails_leaves_no_folder(video: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(video.folder.path)
    Path("bad.mp4").write_text("404")
    assert main(["predict", run, "gone.mp4", "-o", "out"]) == 4
    assert main(["predict", run, "bad.mp4", "-o", "out"]) == 4
    assert not Path("out").exists()
    assert main(["predict", run, str(clips_of(video)[0]), "-o", "bad.mp4"]) == 2
    assert "bad.mp4 is a file, not a folder" in capsys.readouterr().err


def as_frames(clip: Path, folder: Path) -> str:
    """The frames of a clip as pictures of a folder; returns its rate."""
    with av.open(str(clip)) as video:
        for number, frame in enumerate(video.decode(video=0), start=1):
            folder.mkdir(parents=True, exist_ok=True)
            frame.to_image().save(folder / f"img_{number:05}.png")
        return str(float(video.streams.video[0].average_rate))


@pytest.mark.usefixtures("working_directory")
def test_features_of_files_and_folders_of_frames(video: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(video.folder.path)
    Path("new").mkdir()
    Path("new/a.mp4").write_bytes(clips_of(video)[0].read_bytes())
    rate = f"dataset.frame_files.rate={as_frames(Path('new/a.mp4'), Path('new/b c'))}"
    assert main(["embed", run, "new"]) == 2
    assert "dataset.frame_files.rate is not set" in capsys.readouterr().err
    assert not Path("features.npz").exists()
    assert main(["embed", run, "new", "--set", rate]) == 0
    with np.load("features.npz", allow_pickle=False) as found:
        assert set(found.files) == {"a.mp4", "b c", "__about__"}
        assert (found["a.mp4"].shape, found["a.mp4"].dtype) == ((16,), np.float32)
        np.testing.assert_allclose(found["a.mp4"], found["b c"], atol=1e-5)
        expected = found["b c"]
        assert json.loads(str(found["__about__"]))["run"] == video.folder.path.name
    assert [path.name for path in Path().iterdir() if "features" in path.name] == ["features.npz"]
    assert main(["embed", run, "new"]) == 2
    weights = [f"backbone.weights.path={run}", "backbone.weights.source=medvid", "train.workers=0"]
    settings = [part for one in (rate, *weights) for part in ("--set", one)]
    assert main(["embed", str(TASK), "new/b c", "-o", "by_task", *settings]) == 0
    with np.load("by_task/b c.npz") as of_task:
        np.testing.assert_allclose(of_task["feats"], expected, atol=1e-5)


@pytest.mark.usefixtures("working_directory")
def test_features_along_videos_go_on_where_they_stopped(video: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run, every = str(video.folder.path), ["--every", "0.25", "--set", "train.workers=0"]
    Path("new").mkdir()
    for name in ("a", "b"):
        Path(f"new/{name}.mp4").write_bytes(clips_of(video)[0].read_bytes())
    Path("new/bad.mp4").write_text("404")
    assert main(["embed", run, "new", "-o", "f.npz", *every]) == 4
    with np.load("f.npz") as found:
        count = len(found["a.mp4"])
        assert found["a.mp4"].shape == (count, 16)
        np.testing.assert_allclose(found["a.mp4/time_s"], 0.125 + 0.25 * np.arange(count))
        np.testing.assert_array_equal(found["a.mp4"], found["b.mp4"])
    Path("new/bad.mp4").write_bytes(clips_of(video)[0].read_bytes())
    capsys.readouterr()
    assert main(["embed", run, "new", "-o", "f.npz", "--overwrite", *every]) == 0
    with np.load("f.npz") as found:
        assert {"a.mp4", "b.mp4", "bad.mp4"} < set(found.files)
    assert not Path("f.npz.parts").exists()
    assert main(["embed", run, "new", "-o", "parts", *every]) == 0
    capsys.readouterr()
    assert main(["embed", run, "new", "-o", "parts", *every]) == 0
    assert "3 of 3" in capsys.readouterr().err
    assert main(["embed", run, "new", "-o", "parts", "--every", "1"]) == 2
    assert main(["embed", str(TASK), "new", "-o", "random"]) == 2
    assert "starts from random numbers" in capsys.readouterr().err


def damage(run: Run, target: Path, pattern: str) -> Path:
    """A copy of the run's data set in which the clips of that name are text."""
    root = Path(shutil.copytree(run.task().dataset.root, target))
    for clip in root.glob(pattern):
        clip.write_text("<html>404 not found</html>")
    return root


def run_on(root: Path, task: Path, **overrides: object) -> Run:
    options = {"dataset.root": str(root), "dataset.if_missing": "error", "train.steps": 2, "evaluation.every": None}
    return medvid.run(task, {**options, **overrides})


def test_a_broken_training_clip_is_counted_named_and_limited(video: Run, task: Path, tmp_path: Path) -> None:
    root = damage(video, tmp_path / "damaged", "train/moving left/0001.mp4")
    done = run_on(root, task, **{"train.max_unreadable": 0.2, "train.steps": 4})
    report = json.loads((done.folder.path / "unreadable.json").read_text())
    assert list(report) == ["train/moving left/0001.mp4"]
    assert "it is a web page, not a video" in report["train/moving left/0001.mp4"]
    with pytest.raises(DataError, match=r"0001\.mp4"):
        run_on(root, task, **{"train.steps": 4})


def test_a_broken_clip_stops_an_evaluation(video: Run, task: Path, tmp_path: Path) -> None:
    root = damage(video, tmp_path / "damaged", "val/moving up/*.mp4")
    with pytest.raises(DataError, match="moving up"):
        run_on(root, task)


def test_layers_are_needed_for_layer_wise_rates(task: Path) -> None:
    with pytest.raises(ConfigError, match="does not say what its layers are"):
        medvid.run(task, {"dataset.size": 32, "dataset.short_side": None, "backbone": MEDT})
