"""What a run keeps of its size and its time."""

import json
from pathlib import Path

import pytest

from medvid.cli.main import main
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder, append_metrics
from medvid.runs.short_profile import time_of_run


def test_a_run_keeps_its_size_and_where_its_time_went(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    kept = json.loads(finished.folder.profile.read_text())
    assert kept["model"]["parameters"] > 0
    assert sum(kept["training"]["shares"].values()) == pytest.approx(1)
    assert kept["training"]["verdict"]
    assert main(["profile", str(finished.folder.path), "--steps", "0", "--seconds", "0.01"]) == 0
    assert "time of the run" in capsys.readouterr().out


def test_the_parts_of_a_run_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    clock = iter([100.0, 100.0, 104.0, 111.0, 111.0])
    monkeypatch.setattr("medvid.runs.folder.time.time", lambda: next(clock))
    for step, split in ((10, "train"), (10, "perf"), (10, "validation"), (20, "train"), (20, "perf")):
        append_metrics(folder.metrics, step, split, {"step_time": 0.5, "data_time": 0.1})
    told = time_of_run(folder)
    # 20 steps of 0.5 s, of which 0.1 s waiting; 4 s of validation; 7 s for the last 10 steps, 2 s more than they took
    assert told["shares"] == pytest.approx({"data": 2 / 16, "compute": 8 / 16, "evaluation": 4 / 16, "records": 2 / 16})
