"""How launchers start cells, and how the end of a process is read."""

import signal
from pathlib import Path

import pytest
import torch

from medvid.errors import ConfigError, ResourceError
from medvid.studies.folder import StudyFolder
from medvid.studies.launcher_options import LocalOptions, SlurmOptions
from medvid.studies.launchers.local import Local
from medvid.studies.launchers.slurm import Slurm
from medvid.studies.options import StudyOptions
from medvid.studies.process import outcome_of
from medvid.studies.study import Study
from medvid.studies.work import Work


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of eight cells, as far as launchers look at it."""
    options = StudyOptions.model_validate({"study": {"name": "eight", "task": "t.yaml", "seeds": list(range(8))}})
    folder = StudyFolder(tmp_path / "eight cells")
    folder.tasks.mkdir(parents=True)
    folder.task("default").write_text("train: {devices: auto}\n")
    return Study(folder, options)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, "finished"),
        (7, "taken"),
        (4, "failed"),
        (1, "failed"),
        (128 + signal.SIGTERM, "stopped"),
        (128 + signal.SIGUSR1, "stopped"),
        (-signal.SIGTERM, "stopped"),  # it came before the run could save anything
        (-signal.SIGKILL, "killed"),
        (-signal.SIGSEGV, "failed"),
    ],
)
def test_an_exit_status_says_how_a_cell_ended(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_cells_get_no_gpus_that_are_not_there(study: Study) -> None:
    count = torch.cuda.device_count() + 1
    with pytest.raises(ResourceError, match=f"concurrency {count} and launcher.devices_per_cell 1 need {count} GPUs"):
        Local(LocalOptions(concurrency=count, devices_per_cell=1)).launch(Work(study, study.cells()))


def test_slurm_gets_one_array_of_what_is_left(study: Study) -> None:
    cells = study.cells()
    left = [cells[number] for number in (0, 1, 2, 4, 6, 7)]
    options = SlurmOptions(concurrency=3, time="2:00:00", extra=("--account=med",), submit=False)
    Slurm(options).launch(Work(study, left))
    script = study.folder.job.read_text()
    for line in ("--array=0-2,4,6-7%3", "--time=2:00:00", "--account=med", "--signal=USR1@120", "--requeue"):
        assert f"#SBATCH {line}\n" in script
    assert f"platform study cell '{study.folder.path}' $SLURM_ARRAY_TASK_ID\n" in script
    Slurm(options).launch(Work(study, ()))
    assert not study.folder.job.exists()


def test_tasks_for_other_numbers_of_processes_are_refused_before_they_wait_in_a_queue(study: Study) -> None:
    study.folder.task("default").write_text("train: {devices: 2}\n")
    launcher = Slurm(SlurmOptions(nodes=2, gpus_per_node=4, submit=False))
    with pytest.raises(ConfigError, match=r"train\.devices 2, but the launcher asks SLURM for 8 processes a cell"):
        launcher.launch(Work(study, study.cells()))
    assert not study.folder.job.exists()
