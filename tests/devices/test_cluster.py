"""Devices that contradict the processes that something started are refused before the training."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning_fabric.strategies.ddp import DDPStrategy

from medvid.config.task import TrainOptions
from medvid.devices.cluster import Layout, find_layout
from medvid.errors import DistributedError, ResourceError
from medvid.started import FIRST, find_started, speaks, unstarted_note
from medvid.training.device import make_fabric
from medvid.training.optimizers.options import SGDOptions

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4,
    "GROUP_RANK": 1, "GROUP_WORLD_SIZE": 2, "MASTER_ADDR": "n1", "MASTER_PORT": 29500,
}  # fmt: skip
SBATCH = {
    "SLURM_JOB_ID": 17, "SLURM_JOB_NAME": "job", "SLURM_NTASKS": 8, "SLURM_NNODES": 2, "SLURM_PROCID": 0,
    "SLURM_LOCALID": 0, "SLURM_NODEID": 0, "SLURM_NTASKS_PER_NODE": 4,
}  # fmt: skip
SRUN = SBATCH | {
    "SLURM_STEP_ID": 0, "SLURM_STEPID": 0, "SLURM_STEP_NUM_TASKS": 8, "SLURM_STEP_NUM_NODES": 2, "SLURM_PROCID": 5,
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_STEP_NODELIST": "gpu[07-08],big1", "SLURM_NODEID": 1,
    "SLURM_LOCALID": 1, "SLURMD_NODENAME": "gpu08",
}  # fmt: skip
ONE_NODE = {"SLURM_STEP_NUM_NODES": 1, "SLURM_STEP_TASKS_PER_NODE": "8", "SLURM_NODEID": 0, "SLURM_STEP_NODELIST": "g1"}
OTHERS = ("NODE_RANK", "CUDA_VISIBLE_DEVICES", "SLURM_PTY_PORT", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", FIRST)


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*TORCHRUN, *SRUN, *OTHERS):
        monkeypatch.delenv(variable, raising=False)


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], **others: Any) -> None:
    for name, value in (variables | others).items():
        monkeypatch.setenv(name, str(value))


def options(devices: int | str) -> TrainOptions:
    recipe = {"steps": 1, "batch_size": 1, "accelerator": "cpu", "devices": devices}
    return TrainOptions.model_validate(recipe | {"optimizer": SGDOptions(lr=1.0)})


@pytest.mark.parametrize(("variables", "address"), [(TORCHRUN, "n1"), (SRUN, "gpu07")])
def test_the_processes_of_two_machines_are_one_run(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], address: str
) -> None:
    given(monkeypatch, variables)
    assert find_layout(options("auto"), available=4) == find_layout(options(8), available=0) == Layout(2, 4)
    started = find_started()
    assert started is not None
    assert (started.rank, started.processes, started.address) == (5, 8, address)
    assert not speaks()
    strategy = make_fabric(options("auto")).strategy
    assert isinstance(strategy, DDPStrategy)
    environment = strategy.cluster_environment
    assert environment is not None
    assert environment.creates_processes_externally
    assert (strategy.num_nodes, strategy.num_processes, strategy.global_rank, strategy.local_rank) == (2, 4, 5, 1)
    assert (environment.world_size(), environment.main_address, environment.main_port) == (8, address, started.port)


@pytest.mark.parametrize("name", ["interactive", "bash", "mine"])
def test_tasks_of_srun_start_no_others_whatever_their_job_is_called(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given(monkeypatch, SRUN | ONE_NODE, SLURM_JOB_NAME=name)
    strategy = make_fabric(options("auto")).strategy
    assert isinstance(strategy, DDPStrategy)
    assert strategy.cluster_environment is not None
    assert strategy.cluster_environment.creates_processes_externally
    assert (strategy.num_processes, strategy.cluster_environment.main_address) == (8, "127.0.0.1")


def test_steps_side_by_side_do_not_meet_at_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = set()
    for job, step in ((17, 0), (17, 1), (17, 2), (18, 0), (18, 1)):
        given(monkeypatch, SRUN, SLURM_JOB_ID=job, SLURM_STEP_ID=step)
        started = find_started()
        assert started is not None
        assert 12000 <= started.port < 32000
        ports.add(started.port)
    assert len(ports) == 5


@pytest.mark.parametrize("nodes", ["gpu07", "gpu[07-08,11]", "gpu[07,11]", "gpu[07-08],other[1-2]"])
def test_the_first_node_is_read_from_the_list_of_slurm(monkeypatch: pytest.MonkeyPatch, nodes: str) -> None:
    given(monkeypatch, SRUN, SLURM_STEP_NODELIST=nodes)
    started = find_started()
    assert started is not None
    assert started.address == "gpu07"


@pytest.mark.parametrize(
    "variables",
    [
        SBATCH,  # a batch script that calls medvid without srun
        SBATCH | {"SLURM_STEP_ID": 4294967290, "SLURM_STEP_NUM_TASKS": 8},  # the shell of salloc
        SRUN | {"SLURM_PTY_PORT": 40000},  # srun --pty bash
        SRUN | ONE_NODE | {"SLURM_STEP_NUM_TASKS": 1, "SLURM_LOCALID": 0},
        {"GROUP_RANK": 1, "NODE_RANK": 1, "MASTER_ADDR": "elsewhere", "MASTER_PORT": 1},  # left over
    ],
)
@pytest.mark.parametrize("is_child", [False, True])
def test_where_nothing_started_several_medvid_does(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], is_child: bool
) -> None:
    """Also in the processes that it started, which have these variables too."""
    child = {FIRST: 7, "LOCAL_RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 5}
    given(monkeypatch, variables, **(child if is_child else {}))
    assert find_started() is None
    strategy = make_fabric(options(2)).strategy
    assert isinstance(strategy, DDPStrategy)
    assert strategy.cluster_environment is not None
    assert strategy.cluster_environment.creates_processes_externally == is_child
    assert strategy.cluster_environment.main_address == "127.0.0.1"
    assert (strategy.num_nodes, strategy.num_processes, strategy.global_rank) == (1, 2, int(is_child))
    assert speaks() != is_child


def test_a_batch_script_without_srun_is_told_what_it_leaves_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unstarted_note() == ""
    given(monkeypatch, SBATCH)
    assert "8 tasks on 2 node(s), but srun did not start" in unstarted_note()
    given(monkeypatch, SBATCH, SLURM_NTASKS=1, SLURM_NNODES=1)
    assert unstarted_note() == ""
    given(monkeypatch, SRUN)
    assert unstarted_note() == ""


def test_auto_is_all_devices_where_nothing_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_layout(options("auto"), available=8) == Layout(1, 8)
    assert find_layout(options("auto"), available=0) == Layout(1, 1)
    assert find_layout(options(3), available=0) == Layout(1, 3)
    with pytest.raises(ResourceError, match="asks for 9 GPUs, this machine has 8"):
        find_layout(options(9), available=8)
    given(monkeypatch, SBATCH)
    with pytest.raises(ResourceError) as refused:
        find_layout(options(8), available=4)
    assert "for the GPUs of several nodes: srun platform run" in refused.value.hint


@pytest.mark.parametrize(
    ("variables", "told", "hint"),
    [
        (TORCHRUN, "torchrun started 2 x 4 = 8 processes, but train.devices is 2", "--nnodes=2 --nproc-per-node=1"),
        (SRUN, "srun started 2 x 4 = 8 processes, but train.devices is 2", "srun --nodes=2 --ntasks-per-node=1 plat"),
        (SRUN | ONE_NODE, "srun started 8 processes, but train.devices is 2", "srun --nodes=1 --ntasks-per-node=2"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": 7}, "7 tasks on 2 nodes", "--ntasks-per-node=N"),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "5,3"}, r"2 nodes \(5,3\); each needs as many", "--ntasks-per-node=N"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "4(x1)"}, "SLURM_STEP_NUM_TASKS is '4.x1.', but has to be a", "unset SLURM_"),
        (SRUN | {"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST is ''", "set MASTER_ADDR"),
        (SRUN | {"SLURM_NODEID": "n2"}, "SLURM_NODEID is 'n2'", "unset SLURM_NODEID"),
        (TORCHRUN | {"WORLD_SIZE": 7}, "torchrun started 7 processes on 2 nodes, 4 of them on this", "the same N"),
        ({"LOCAL_RANK": 0}, "what set LOCAL_RANK started 1 processes", "train.devices=1"),
        ({"LOCAL_RANK": 1}, "LOCAL_RANK is '1', but there are 1 processes here", "unset LOCAL_RANK"),
        ({"LOCAL_RANK": 0, "WORLD_SIZE": 2}, "MASTER_PORT, where they meet, is not set", "unset LOCAL_RANK"),
        (TORCHRUN | {"LOCAL_RANK": ""}, "LOCAL_RANK is '', but there are 4", "unset LOCAL_RANK"),
        (TORCHRUN | {"WORLD_SIZE": "all"}, "WORLD_SIZE is 'all', but has to be a whole number", "unset WORLD_SIZE"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": 0}, "LOCAL_WORLD_SIZE is '0', but has to", "unset LOCAL_WORLD_SIZE"),
        ({"OMPI_COMM_WORLD_SIZE": 2}, "by the variable OMPI_COMM_WORLD_SIZE, 2 processes", "by torchrun or srun"),
        ({"WORLD_SIZE": 2, "RANK": 1}, "by the variable WORLD_SIZE, 2 processes were started", "unset WORLD_SIZE"),
        ({FIRST: 7, "WORLD_SIZE": 3}, "started 3 processes before, and now train.devices is 2", "of its own"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "2 processes on .* but CUDA_VISIBLE_DEVICES=0 shows each", "train.devices=1"),
    ],
)
def test_a_contradiction_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], told: str, hint: str
) -> None:
    given(monkeypatch, variables)
    with pytest.raises(DistributedError, match=told) as refused:
        find_layout(options(2), available=1)
    assert hint in refused.value.hint
    assert refused.value.exit_code == 8


ONE_AFTER_TWO = """
import os, sys
from medvid.config.task import TrainOptions
from medvid.training.launch import launched
from medvid.training.optimizers.options import SGDOptions

def options(devices):
    recipe = {"steps": 1, "batch_size": 1, "accelerator": "cpu", "devices": devices}
    return TrainOptions.model_validate(recipe | {"optimizer": SGDOptions(lr=1.0)})

for _ in range(2):
    with launched(options(2)) as fabric:
        assert fabric.world_size == 2
    if os.environ["LOCAL_RANK"] == "0":
        with launched(options(1)) as fabric:
            assert fabric.world_size == 1
"""


def test_a_program_goes_on_with_one_device_after_it_had_two(tmp_path: Path) -> None:
    """As a run on several devices, and then `Run.evaluate`; and then the same with another run."""
    script = tmp_path / "script.py"
    script.write_text(ONE_AFTER_TWO)
    ended = subprocess.run([sys.executable, str(script)], check=False, timeout=120, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_one_process_is_the_default() -> None:
    assert make_fabric(options("auto")).world_size == make_fabric(options(1)).world_size == 1
    assert TrainOptions.model_fields["devices"].default == 1
