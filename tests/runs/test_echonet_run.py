"""An ejection fraction of videos, through the command line: trained, evaluated by clips from every frame, predicted."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvid.cli.main import main
from medvid_echonet.config import CineLoopOptions
from medvid_echonet.loops import generate

TASK = """
name: echo
dataset: {name: echonet, root: loops, measures: [EF, EDV], frames: 4, rate: 8, size: 32, short_side: [32, 32], cache: c}
backbone: {name: r2plus1d, width: 2, blocks: [1, 1, 1, 1]}
head: regression
train: {steps: 2, batch_size: 3, optimizer: {name: adamw, lr: 1e-3}, precision: fp32, workers: 0}
evaluation: {figures: 1, protocol: {name: echonet, resamples: 50}}
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Iterator[Path]:
    """The folder of a run, in the working directory that has its data."""
    folder = tmp_path_factory.mktemp("echo")
    generate(folder / "loops", CineLoopOptions(train=3, validation=3, test=1, size=32, frames=(30, 34)))
    (folder / "task.yaml").write_text(TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        patch.chdir(folder)
        assert main(["run", "task.yaml"]) == 0
        [made] = (folder / "runs/echo").iterdir()
        yield made


def test_the_scale_of_the_training_videos_is_kept(run: Path) -> None:
    resolved = (run / "resolved.yaml").read_text()
    train = [row for row in rows_of(Path("loops/FileList.csv")) if row["Split"] == "TRAIN"]
    assert f"EF: {sum(float(row['EF']) for row in train) / 3:.3f}"[:-1] in resolved
    assert (run / "figures/agreement_EF.png").is_file()
    assert "mae_low" in json.loads((run / "summary.json").read_text())["metrics"]


def test_clips_from_every_frame_are_said_and_scored(run: Path) -> None:
    given = ["--set", "evaluation.split=test", "--set", "evaluation.clips=all", "--set", "evaluation.clip_stride=2"]
    assert main(["evaluate", str(run), *given]) == 0
    [summary] = run.glob("evaluations/*/summary.json")
    notes = json.loads(summary.read_text())["notes"]
    assert any("clips from every 2 frames x 1 views (clips x crops) of 4 x 32 x 32" in note for note in notes)


def test_a_new_video_gets_values_with_units(run: Path) -> None:
    shutil.copy(next(Path("loops/Videos").iterdir()), "new.avi")
    assert main(["predict", str(run), "new.avi", "-o", "found"]) == 0
    [row] = rows_of(Path("found/predictions.csv"))
    assert list(row) == ["case", "path", "EF (%)", "EDV (ml)"]
    assert [(one["value"], one["unit"]) for one in rows_of(Path("found/new.avi.csv"))] == [("EF", "%"), ("EDV", "ml")]
