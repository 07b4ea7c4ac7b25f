"""A run that is stopped, in whatever way, ends as if it had never been."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.runs.conftest import setting

import medvid
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder, read_metrics

TIMES = ("perf",)
Start = Callable[..., "subprocess.Popen[str]"]


def wait_for_step(process: subprocess.Popen[str], step: int) -> RunFolder:
    """Wait until a run has logged a step; returns its folder."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        for metrics in Path("runs").glob("*/*/metrics.jsonl"):
            if any(record["step"] >= step for record in read_metrics(metrics)):
                return RunFolder(metrics.parent.absolute())
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def same_end(folder: RunFolder, finished: Run) -> bool:
    """Whether a run ended with the bits, the logged figures and the scores of the uninterrupted one."""
    mine, theirs = (
        load_file(max(found.checkpoints.iterdir()) / "model.safetensors") for found in (folder, finished.folder)
    )
    assert mine.keys() == theirs.keys()
    assert all(mine[name].equal(theirs[name]) for name in mine)
    rows, expected = (
        [(record["step"], record["split"], record["values"]) for record in read_metrics(found.metrics)]
        for found in (folder, finished.folder)
    )
    assert [row for row in rows if row[1] not in TIMES] == [row for row in expected if row[1] not in TIMES]
    mine, theirs = (json.loads(found.summary.read_text()) for found in (folder, finished.folder))
    assert (mine["metrics"], mine["best"]) == (theirs["metrics"], theirs["best"])
    return True


def test_killed_in_mid_epoch_and_resumed(finished: Run, tiny_task: Path, start: Start) -> None:
    # 3 training cases in batches of 2: step 4 is in the middle of the third epoch, between checkpoints 3 and 6.
    run = start("run", tiny_task, "--set", "train.workers=0")
    folder = wait_for_step(run, 4)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not folder.summary.exists()
    resumed = start("run", "--resume", folder.path)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    assert "DEMO DATA" in output
    assert same_end(folder, finished)


def test_asked_to_stop_it_saves_and_says_how_to_go_on(small_task: Path, start: Start) -> None:
    long = ("train.steps=300", "train.checkpoint_every=300", "evaluation.every=null", "train.workers=1")
    uninterrupted = medvid.run(small_task, [*long, "output=alone"])
    run = start("run", small_task, *setting(*long))
    folder = wait_for_step(run, 2)
    os.kill(run.pid, signal.SIGHUP)  # as of a terminal that closes
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 129, output
    assert f"platform run --resume {folder.path}" in output
    assert json.loads(folder.summary.read_text())["status"] == "killed"
    resumed = start("run", "--resume", folder.path)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    assert same_end(folder, uninterrupted)


def test_resuming_with_other_software_is_told_and_both_are_kept(
    finished: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(shutil.copytree(finished.folder.path, tmp_path / "copy"))
    environment = json.loads((copy / "environment.json").read_text())
    environment["versions"]["torch"] = "2.0.0"
    (copy / "environment.json").write_text(json.dumps(environment))
    medvid.resume(copy)
    assert any("was 2.0.0 when the run started" in message for message in caplog.messages)
    assert json.loads((copy / "environment-until-7.json").read_text()) == environment
    assert json.loads((copy / "environment.json").read_text())["versions"]["torch"] != "2.0.0"
