"""Studies from the command line: set up, run, killed, continued, extended, failed."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from medvid.cli.main import main
from medvid.studies.folder import StudyFolder

PATIENCE = 600
"""Seconds after which a process hangs."""
FOLDS = ["--folds", "2", "--group", r"^(p\d+)_", "--seeds", "2"]
LATER = ["--launcher", "slurm", "--print"]
"""Sets a study up, and leaves its cells to whoever runs them."""


def cells(name: str) -> list[Path]:
    return sorted(Path(f"studies/{name}/cells").iterdir())


def states(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    capsys.readouterr()
    assert main(["study", "status", f"studies/{name}", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["states"]


def rows(name: str) -> list[dict[str, str]]:
    """The table of all cases of a study."""
    with Path(f"studies/{name}/cases.csv").open() as file:
        return list(csv.DictReader(file))


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `platform study`; what still runs after a test, with its cells, is ended."""
    started = []

    def study(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "medvid", "study", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield study
    for process in started:
        if process.poll() is None:
            kill_all(process)


def kill_all(study: subprocess.Popen[str]) -> None:
    """Kill a study and its cells."""
    for process in [*psutil.Process(study.pid).children(recursive=True), study]:
        process.kill()
    study.communicate()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until something is so while a process runs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    output = process.communicate(timeout=PATIENCE)[0]
    return process.returncode, output


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """A study of 2 folds x 2 seeds whose cells ran one after the other, undisturbed, in this process."""
    assert main(["study", "task.yaml", *FOLDS, *LATER, "--name", "whole"]) == 0
    for number in range(4):
        assert main(["study", "cell", "studies/whole", str(number)]) == 0
    assert main(["study", "status", "studies/whole"]) == 0
    return place / "studies/whole"


def saved(name: str) -> set[str]:
    """The checkpoints of all cells."""
    return {str(path) for path in Path(f"studies/{name}/cells").glob("*/checkpoints/step-*")}


@pytest.mark.usefixtures("whole")
def test_a_study_that_is_killed_twice_ends_as_an_undisturbed_one(
    start: Start, tracking_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = start("task.yaml", *FOLDS, "--name", "killed", "--concurrency", "2")
    wait_for(lambda: saved("killed"), study)
    kill_all(study)
    assert "running" not in states("killed", capsys)
    before = saved("killed")
    study = start("resume", "studies/killed")
    wait_for(lambda: saved("killed") - before, study)
    study.send_signal(signal.SIGTERM)
    code, output = end(study)
    assert code == 128 + signal.SIGTERM, output
    assert "continue it: platform study resume" in output
    assert "running" not in states("killed", capsys)
    done = {path: path.read_bytes() for path in Path("studies/killed/cells").glob("*/summary.json")}
    done = {path: content for path, content in done.items() if json.loads(content)["status"] == "finished"}
    several = [start("resume", "studies/killed") for _ in range(2)]
    for code, output in map(end, several):
        assert code == 0, output
    assert states("killed", capsys) == {"finished": 4}
    assert all(path.read_bytes() == content for path, content in done.items())
    assert main(["study", "status", "studies/killed"]) == 0
    assert rows("killed") == rows("whole")
    for cell, other in zip(cells("killed"), cells("whole"), strict=True):
        assert cell.name == other.name
        steps = [json.loads(line)["step"] for line in (cell / "metrics.jsonl").read_text().splitlines()]
        assert steps == [json.loads(line)["step"] for line in (other / "metrics.jsonl").read_text().splitlines()]
    _check_children("killed", tracking_uri)


def _check_children(name: str, tracking_uri: str) -> None:
    """Each cell is one run of MLflow, complete."""
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("squares")
    assert experiment
    found = client.search_runs([experiment.experiment_id], f"tags.study.name = '{name}' and tags.study.seed != ''")
    assert sorted(run.info.run_name for run in found) == [cell.name for cell in cells(name)]
    for run in found:
        tags = run.data.tags
        assert run.info.status == "FINISHED"
        which = f"{tags['study.configuration']}-f{tags['study.fold']}-s{tags['study.seed']}"
        assert which == run.info.run_name
        assert any(key.startswith("validation") for key in run.data.metrics), run.data.metrics


def test_every_case_is_held_out_once_with_its_patient(whole: Path) -> None:
    folds = json.loads(StudyFolder(whole).splits.read_text())
    held = [case for fold in folds for case in fold["val"]]
    assert sorted(held) == sorted(path.stem for path in Path("own/images").iterdir())
    for fold in folds:
        assert not {case[:2] for case in fold["train"]} & {case[:2] for case in fold["val"]}
    for row in rows("whole"):
        assert row["case"] in folds[int(row["fold"])]["val"]


@pytest.mark.usefixtures("whole")
def test_a_finished_cell_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    before = (cells("whole")[0] / "summary.json").stat().st_mtime_ns
    assert main(["study", "cell", "studies/whole", "0"]) == 0
    assert "is finished, or another process works on it" in capsys.readouterr().out
    assert main(["study", "resume", "studies/whole"]) == 0
    assert (cells("whole")[0] / "summary.json").stat().st_mtime_ns == before
    assert main(["study", "cell", "studies/whole", "4"]) == 2
    assert "has no cell 4: it has 4" in capsys.readouterr().err


def test_a_study_can_grow_but_not_change(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = ["study", "task.yaml", "--name", "whole", *LATER]
    assert main([*again, *FOLDS[:-1], "3"]) == 0
    assert states("whole", capsys) == {"finished": 4, "waiting": 2}
    assert "--array=4-5" in (whole / "job.sh").read_text()
    assert main([*again, *FOLDS, "--set", "train.steps=25"]) == 2
    assert "another task as its configuration 'default': train.steps is 25, was 24" in capsys.readouterr().err
    assert main([*again, "--folds", "3"]) == 2
    assert "other folds: folds.count is 3, was 2" in capsys.readouterr().err
    assert main([*again, *FOLDS]) == 0
    assert states("whole", capsys) == {"finished": 4}


def test_a_failed_cell_is_named_and_only_tried_again_when_asked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "study: {name: rates, task: task.yaml}\nconfigurations:\n  good: {}\n  bad: {train: {optimizer: {lr: 1e38}}}\n"
    )
    Path("rates.yaml").write_text(text)
    assert (
        main(["study", "rates.yaml", *LATER, "--set", "train.steps=2", "--set", "dataset.validation_fraction=0.5"]) == 0
    )
    assert main(["study", "cell", "studies/rates", "0"]) == 0
    assert main(["study", "cell", "studies/rates", "1"]) == 5
    assert states("rates", capsys) == {"finished": 1, "failed": 1}
    assert main(["study", "resume", "studies/rates"]) == 8
    said = capsys.readouterr().err
    assert "1 of 2 cells of the study rates have failed:\n  bad-s1: " in said
    assert "logs/bad-s1.log" in said
    assert "platform study resume --retry" in said
    assert main(["study", "status", "studies/rates"]) == 0
    assert "failed: bad-s1" in capsys.readouterr().out
    assert main(["study", "resume", "studies/rates", "--retry"]) == 0  # hands it to the cluster again
    assert "--array=1\n" in (place / "studies/rates/job.sh").read_text()
