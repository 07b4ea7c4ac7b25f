"""Devices that contradict the processes that something started are refused before the training."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

from medvid.config.task import TrainOptions
from medvid.devices.cluster import find_devices
from medvid.errors import DistributedError, ResourceError
from medvid.started import FIRST
from medvid.training.device import make_fabric
from medvid.training.optimizers.options import SGDOptions

VARIABLES = ("LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "CUDA_VISIBLE_DEVICES", FIRST)
SLURM = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES", "SLURM_STEP_ID", "SLURM_JOB_NAME", "SLURM_TASK_PID")

TORCHRUN = {"LOCAL_RANK": 1, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 4, "TORCHELASTIC_RUN_ID": "none"}
SRUN = {"SLURM_NTASKS": 4, "SLURM_NNODES": 1, "SLURM_STEP_ID": 0, "SLURM_PROCID": 1, "SLURM_LOCALID": 1}
SBATCH = {"SLURM_NTASKS": 1, "SLURM_NNODES": 1, "SLURM_PROCID": 0, "SLURM_LOCALID": 0, "SLURM_NODEID": 0}


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES, *SLURM):
        monkeypatch.delenv(variable, raising=False)


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], **others: Any) -> None:
    for name, value in (variables | others).items():
        monkeypatch.setenv(name, str(value))


def options(devices: int | str) -> TrainOptions:
    recipe = {"steps": 1, "batch_size": 1, "accelerator": "cpu", "devices": devices}
    return TrainOptions.model_validate(recipe | {"optimizer": SGDOptions(lr=1.0)})


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN])
def test_auto_is_what_was_started(monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any]) -> None:
    given(monkeypatch, variables)
    assert find_devices(options("auto"), available=8) == 4
    assert find_devices(options(4), available=8) == 4


def test_auto_is_all_devices_where_nothing_was_started() -> None:
    assert find_devices(options("auto"), available=8) == 8
    assert find_devices(options("auto"), available=0) == 1
    assert find_devices(options(3), available=0) == 3
    with pytest.raises(ResourceError, match="asks for 9 GPUs, this machine has 8"):
        find_devices(options(9), available=8)


@pytest.mark.parametrize(
    ("variables", "told", "hint"),
    [
        (TORCHRUN, "torchrun started 4 processes, but train.devices is 2", "train.devices=4 (or auto), or torchrun "),
        (SRUN, "srun started 4 processes, but train.devices is 2", "or srun --nodes=1 --ntasks=2 platform run"),
        (TORCHRUN | {"WORLD_SIZE": 8}, "torchrun started 8 processes on 2 machines", "--nnodes=1 --nproc-per-node=2"),
        (SRUN | {"SLURM_NNODES": 2}, "srun started 4 processes on 2 machines", "srun --nodes=1 --ntasks=2"),
        (SBATCH | {"SLURM_NTASKS": 4}, "4 tasks .SLURM_NTASKS., but srun did not start", "sbatch --ntasks=1"),
        ({"LOCAL_RANK": 0}, "what set LOCAL_RANK started 1 processes", "train.devices=1"),
        ({"LOCAL_RANK": 1}, "LOCAL_RANK is '1', but WORLD_SIZE declares 1 processes", "unset LOCAL_RANK"),
        (TORCHRUN | {"LOCAL_RANK": ""}, "LOCAL_RANK is '', but WORLD_SIZE declares 4 processes", "unset LOCAL_RANK"),
        (TORCHRUN | {"WORLD_SIZE": "all"}, "WORLD_SIZE is 'all', but has to be a whole number", "unset WORLD_SIZE"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": 0}, "LOCAL_WORLD_SIZE is '0', but has to", "unset LOCAL_WORLD_SIZE"),
        (SRUN | {"SLURM_NTASKS": "4(x1)"}, "SLURM_NTASKS is '4.x1.', but has to be a", "unset SLURM_NTASKS"),
        (SRUN | {"SLURM_NNODES": "1-2"}, "SLURM_NNODES is '1-2', but has to be a whole number", "unset SLURM_NNODES"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "2 processes, .* but CUDA_VISIBLE_DEVICES=0 shows each", "train.devices=1"),
    ],
)
def test_a_contradiction_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], told: str, hint: str
) -> None:
    given(monkeypatch, variables)
    with pytest.raises(DistributedError, match=told) as refused:
        find_devices(options(2), available=1)
    assert hint in refused.value.hint
    assert refused.value.exit_code == 8


@pytest.mark.parametrize("is_child", [False, True])
def test_a_single_task_of_slurm_starts_processes_as_anywhere(monkeypatch: pytest.MonkeyPatch, is_child: bool) -> None:
    """Also in the processes that it started, which have its variables."""
    given(monkeypatch, SBATCH, **({FIRST: 7, "LOCAL_RANK": 1, "WORLD_SIZE": 2} if is_child else {}))
    strategy = make_fabric(options(2)).strategy
    assert isinstance(strategy, DDPStrategy)
    assert isinstance(strategy.cluster_environment, LightningEnvironment)
    assert strategy.cluster_environment.creates_processes_externally == is_child
    assert strategy.global_rank == int(is_child)
    assert strategy.num_processes == 2


def test_tasks_of_srun_on_one_machine_need_no_count_per_node(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SRUN, SLURM_NODEID=0)
    strategy = make_fabric(options("auto")).strategy
    assert isinstance(strategy, DDPStrategy)
    assert (strategy.num_processes, strategy.global_rank) == (4, 1)


def test_tasks_of_srun_start_no_others_in_an_interactive_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """`salloc --ntasks=4`, which calls its job so, then `srun platform run`."""
    given(monkeypatch, SRUN, SLURM_NODEID=0, SLURM_JOB_NAME="interactive", SLURM_TASK_PID=os.getpid())
    strategy = make_fabric(options(4)).strategy
    assert isinstance(strategy, DDPStrategy)
    assert strategy.cluster_environment is not None
    assert strategy.cluster_environment.creates_processes_externally


def test_ranks_are_of_what_started_the_processes_in_a_job_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SBATCH, LOCAL_RANK=1, WORLD_SIZE=2)
    strategy = make_fabric(options(2)).strategy
    assert isinstance(strategy, DDPStrategy)
    assert strategy.global_rank == 1


ONE_AFTER_TWO = """
import os, sys
from medvid.config.task import TrainOptions
from medvid.training.launch import launch
from medvid.training.optimizers.options import SGDOptions

def options(devices):
    recipe = {"steps": 1, "batch_size": 1, "accelerator": "cpu", "devices": devices}
    return TrainOptions.model_validate(recipe | {"optimizer": SGDOptions(lr=1.0)})

assert launch(options(2)).world_size == 2
if os.environ["LOCAL_RANK"] == "0":
    assert launch(options(1)).world_size == 1
"""


def test_a_program_goes_on_with_one_device_after_it_had_two(tmp_path: Path) -> None:
    """As a run on several devices, and then `Run.evaluate`."""
    script = tmp_path / "script.py"
    script.write_text(ONE_AFTER_TWO)
    ended = subprocess.run([sys.executable, str(script)], check=False, timeout=120, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_one_process_is_the_default() -> None:
    assert make_fabric(options("auto")).world_size == make_fabric(options(1)).world_size == 1
    assert TrainOptions.model_fields["devices"].default == 1
