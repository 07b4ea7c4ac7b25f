"""`platform run TASK --folder RUN` can be given again and again: it starts, goes on, or finds nothing left to do."""

import json
import shutil
from pathlib import Path

import pytest
from tests.runs.conftest import SMALL, TINY, content_of, setting
from tests.runs.test_resume import same_end

import medvid
from medvid.cli.main import main
from medvid.errors import ConfigError
from medvid.runs.api import Run


@pytest.fixture
def unfinished(finished: Run, working_directory: Path) -> Path:
    """A run that failed after step 6 of 7."""
    copy = Path(shutil.copytree(finished.folder.path, working_directory / "runs" / "a1"))
    shutil.rmtree(max((copy / "checkpoints").iterdir()))
    (copy / "summary.json").write_text(json.dumps({"status": "failed"}))
    return copy


def test_it_starts_in_a_folder_whose_parents_are_not_there_either(small_task: Path) -> None:
    run = medvid.run(small_task, folder="studies/mine/cells/f0")
    assert run.folder.path == Path("studies/mine/cells/f0").absolute()
    assert run.summary["status"] == "finished"
    assert not Path("runs").exists()


def test_it_goes_on_to_the_same_end(finished: Run, unfinished: Path) -> None:
    assert main(["run", str(TINY), "--folder", "runs/a1", "--set", "train.workers=0"]) == 0
    assert same_end(medvid.load_run(unfinished).folder, finished)


def test_a_finished_run_is_left_as_it_is(
    finished: Run, working_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content_of(finished.folder.path)
    assert main(["run", str(TINY), "--folder", str(finished.folder.path)]) == 0
    assert f"{finished.folder.path} is finished: dice 0." in capsys.readouterr().out
    assert medvid.run(TINY, folder=finished.folder.path).summary == finished.summary
    assert content_of(finished.folder.path) == before
    assert not list(working_directory.glob("runs"))


def test_a_run_of_another_task_is_refused_by_the_options_that_differ(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content_of(unfinished)
    assert main(["run", str(TINY), "--folder", "runs/a1", *setting("seed=7", "train.optimizer.lr=0.1")]) == 2
    told = capsys.readouterr().err
    assert f"{unfinished} holds a run of another task: seed is 7, was 1; train.optimizer.lr is 0.1, was 0.002" in told
    with pytest.raises(ConfigError, match="a run of another task: name is "):
        medvid.run(SMALL, ["dataset.root=."], folder=unfinished)
    assert content_of(unfinished) == before


def test_what_is_not_a_run_is_not_written_into(small_task: Path) -> None:
    with pytest.raises(ConfigError, match="own is neither a run folder nor empty"):
        medvid.run(small_task, folder="own")
    with pytest.raises(ConfigError, match=r"small\.yaml is neither"):
        medvid.run(small_task, folder=small_task)


def test_new_cases_do_not_make_it_another_task(unfinished: Path, small: Run) -> None:
    """The run keeps its own cases, and what was filled in from them, such as the names of classes."""
    del unfinished
    (small.folder.summary).unlink()
    for folder in ("images", "masks"):
        shutil.copy(f"own/{folder}/a.png", f"own/{folder}/z.png")
    medvid.run("small.yaml", folder=small.folder.path)
    assert small.summary["status"] == "finished"


def test_a_folder_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--resume", "a", "--folder", "b"]) == 2
    assert "it cannot be combined with --resume" in capsys.readouterr().err
