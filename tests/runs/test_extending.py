"""A finished run that goes on over more steps, in a new folder."""

import json
import shutil
from pathlib import Path

import mlflow
import pytest
from tests.runs.conftest import content_of
from tests.runs.test_resume import same_end

import medvid
from medvid.config.task import TrainOptions, WarmupCosine
from medvid.errors import CheckpointError, ConfigError, DataError
from medvid.runs.api import Run
from medvid.runs.extending import rate_note
from medvid.runs.origin import read_origin
from medvid.training.optimizers.options import AdamWOptions


@pytest.fixture(scope="module")
def longer(small_master: Path, tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """The run of small.yaml, with twice its steps from the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(small_master)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return medvid.run("small.yaml", {"train.steps": 6, "output": str(tmp_path_factory.mktemp("longer"))})


def test_it_ends_as_a_run_of_all_steps(small: Run, longer: Run, caplog: pytest.LogCaptureFixture) -> None:
    before = content_of(small.folder.path)
    extended = medvid.extend(small.folder.path, {"train.steps": 6})
    assert same_end(extended.folder, longer)
    assert content_of(small.folder.path) == before
    assert any("the rate goes on as if 6 steps had been asked for" in message for message in caplog.messages)
    origin = read_origin(extended.folder)
    assert origin is not None
    assert (origin.extends["run"], origin.extends["step"]) == (small.folder.name, 3)
    [tracked] = mlflow.search_runs(
        search_all_experiments=True, filter_string=f"tags.medvid.run = '{extended.folder.name}'", output_format="list"
    )
    assert tracked.data.tags["medvid.extends"] == small.folder.name
    # Killed on the way, it is resumed as any run, without the one that it extends.
    shutil.rmtree(small.folder.path)
    shutil.rmtree(extended.folder.checkpoints / "step-00000006")
    assert same_end(medvid.resume(extended.folder.path).folder, longer)


def test_what_is_refused(small: Run) -> None:
    there = set(small.folder.path.parent.iterdir())
    for overrides, message in (
        ({"train.steps": 6, "train.batch_size": 1, "seed": 2}, r"seed, train\.batch_size cannot be changed"),
        ({}, r"was trained for 3 steps, and train\.steps is 3"),
        ({"train.steps": 2}, r"train\.steps is 2"),
        ({"train.stpes": 6}, "stpes"),
    ):
        with pytest.raises(ConfigError, match=message):
            medvid.extend(small.folder.path, overrides)
    for case in Path("own/images").iterdir():
        case.write_bytes(b"not an image")
    with pytest.raises(DataError):
        medvid.extend(small.folder.path, {"train.steps": 6})
    summary = json.loads(small.folder.summary.read_text())
    small.folder.summary.write_text(json.dumps(summary | {"status": "killed"}))
    with pytest.raises(ConfigError, match="is not finished"):
        medvid.extend(small.folder.path, {"train.steps": 6})
    small.folder.summary.write_text(json.dumps(summary))
    shutil.rmtree(small.folder.checkpoints)
    with pytest.raises(CheckpointError, match="has no checkpoint to go on from"):
        medvid.extend(small.folder.path, {"train.steps": 6})
    assert set(small.folder.path.parent.iterdir()) == there


def test_one_that_stopped_early_needs_more_patience(small_task: Path) -> None:
    run = medvid.run(small_task, {"train.steps": 9, "train.stop_early": {"patience": 2, "min_delta": 2}})
    with pytest.raises(ConfigError, match="its extension would be over at once"):
        medvid.extend(run.folder.path, {"train.steps": 12})
    extended = medvid.extend(run.folder.path, {"train.steps": 4, "train.stop_early": None})
    assert extended.summary["trained"] == 4


def test_a_schedule_over_all_steps_is_said_to_be_another() -> None:
    cosine = WarmupCosine(name="warmup_cosine")
    options = TrainOptions(steps=20, batch_size=1, optimizer=AdamWOptions(lr=0.1), schedule=cosine)
    note = rate_note(options, 10, 10)
    assert "spans 20 steps now, not 10: the rate goes on at 0.5 of its peak, after 0.0245 at step 10" in note
