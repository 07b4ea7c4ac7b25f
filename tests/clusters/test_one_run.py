"""One run on several machines, here pretended: to the same bits, however its processes were started and stopped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.clusters import slurm_local
from tests.runs.conftest import SMALL, draw_images, setting
from torch import Tensor

import medvid
from medvid.runs.folder import RunFolder
from medvid.slurm import Resources, job_script

STEPS = 40
OPTIONS = (
    "train.devices=auto", "train.accelerator=cpu", "train.batch_size=1", f"train.steps={STEPS}", "train.log_every=1",
    f"train.checkpoint_every={STEPS // 2}", "evaluation.every=null", "train.clip_norm=1.0",
    "backbone.drop_path_rate=0.2",
)  # fmt: skip
RUN = [sys.executable, "-m", "medvid", "run", "small.yaml", *setting(*OPTIONS)]

UNSHARED = """
import os, sys
from pathlib import Path
from medvid.cli.main import _report
from medvid.errors import MedvidError
from medvid.runs.folder import RunFolder
from medvid.runs.shared import check_shared
from medvid.training.launch import launched
from tests.devices.test_cluster import options

with launched(options(2)) as fabric:
    os.chdir(sys.argv[1 + fabric.global_rank])
    try:
        check_shared(fabric, RunFolder(Path("/proc/self/cwd/runs/small/a")))
    except MedvidError as error:
        sys.exit(_report(error, verbose=False))
"""


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with images; each test has its own run folder in it."""
    folder = tmp_path_factory.mktemp("clusters")
    draw_images(folder / "own", "abcdef")
    shutil.copy(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def alone(place: Path, tracking_uri: str) -> RunFolder:
    """A run whose two processes medvid has started."""
    return run_to_the_end(place, tracking_uri, "alone", [*RUN, *setting("train.devices=2")])


def environment(tracking_uri: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": tracking_uri}


def run_to_the_end(place: Path, tracking_uri: str, name: str, *commands: Sequence[str]) -> RunFolder:
    """Run commands at the same time, each with the run folder of a name; all end well."""
    started = [
        subprocess.Popen(
            [*command, "--folder", f"runs/{name}"],
            cwd=place,
            env=environment(tracking_uri),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    outputs = [each.communicate(timeout=600)[0] for each in started]
    assert [each.returncode for each in started] == [0] * len(started), "\n".join(outputs)
    assert "".join(outputs).count("finished in") == 1, outputs
    return RunFolder(place / "runs" / name)


def weights(folder: RunFolder) -> dict[str, Tensor]:
    assert max(path.name for path in folder.checkpoints.iterdir()) == f"step-{STEPS:08d}"
    return load_file(folder.checkpoints / f"step-{STEPS:08d}" / "model.safetensors")


def same_bits(first: RunFolder, second: RunFolder) -> bool:
    mine, theirs = weights(first), weights(second)
    return mine.keys() == theirs.keys() and all(mine[name].equal(theirs[name]) for name in mine)


def agent(port: int) -> list[str]:
    """torchrun for one of two machines with a process each."""
    meeting = [f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1", "--rdzv-backend=c10d", "--rdzv-id=a"]
    return [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *meeting, "--no-python"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_two_machines_of_torchrun_train_one_run_to_the_bits_of_one_machine(
    place: Path, alone: RunFolder, tracking_uri: str
) -> None:
    command = [*agent(free_port()), *RUN]
    assert same_bits(run_to_the_end(place, tracking_uri, "torchrun", command, command), alone)


def test_one_process_that_takes_the_shares_of_two_in_turn_trains_to_the_same_bits(
    place: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout, which draws anew for each process."""
    same = "backbone.drop_path_rate=0"
    two = run_to_the_end(place, tracking_uri, "two", [*RUN, *setting("train.devices=2", same)])
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    one = medvid.run("small.yaml", [*OPTIONS, same, "train.devices=1", "train.accumulate=2"], folder="runs/in-turn")
    assert same_bits(one.folder, two)


def test_a_run_goes_on_with_one_process_over_the_same_cases(
    place: Path, alone: RunFolder, tracking_uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    copy = RunFolder(Path(shutil.copytree(alone.path, place / "runs" / "one")))
    copy.summary.unlink()
    shutil.rmtree(max(copy.checkpoints.iterdir()))
    medvid.run("small.yaml", [*OPTIONS, "train.devices=1"], folder=copy.path)
    told = "goes on with 1 processes x batch_size 1 x accumulate 2, after 2 processes x batch_size 1 x accumulate 1"
    assert any(told in message for message in caplog.messages)
    assert weights(copy).keys() == weights(alone).keys()


def test_a_process_that_is_killed_is_started_again_by_torchrun_and_ends_with_the_same_bits(
    place: Path, alone: RunFolder, tracking_uri: str
) -> None:
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--local-addr=127.0.0.1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1", *meeting]
    run = subprocess.Popen(
        [*torchrun, "--no-python", *RUN, "--folder", "runs/killed"],
        cwd=place,
        env=environment(tracking_uri),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not (place / f"runs/killed/checkpoints/step-{STEPS // 2:08d}").exists():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    *_, last = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(int(last), signal.SIGKILL)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert f"continuing from step-{STEPS // 2:08d}" in output
    assert same_bits(RunFolder(place / "runs/killed"), alone)


def test_machines_with_other_data_are_refused(place: Path, tmp_path: Path, tracking_uri: str) -> None:
    """Each agent has a working directory of its own, and the data lie in it."""
    command = [
        *agent(free_port()),
        *RUN,
        *setting("dataset.root=/proc/self/cwd/own"),
        "--folder",
        str(place / "runs/data"),
    ]
    shutil.copy(SMALL, tmp_path)
    draw_images(tmp_path / "own", "abcdef", seed=1)
    started = [
        subprocess.Popen(
            command, cwd=cwd, env=environment(tracking_uri), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for cwd in (place, tmp_path)
    ]
    output = "".join(each.communicate(timeout=600)[0] for each in started)
    assert all(each.returncode for each in started)
    assert "error[DISTRIBUTED]: the data differ between machines: " in output
    assert not (place / "runs/data").exists()


def test_a_run_folder_that_another_machine_does_not_see_is_refused(tmp_path: Path) -> None:
    """/proc/self/cwd is another folder for each process, as a local disk is for each machine."""
    (tmp_path / "script.py").write_text(UNSHARED)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "one"), str(tmp_path / "two")]
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 8, done.stderr
    assert "does not see /proc/self/cwd/runs/small, where" in done.stderr
    assert "hint: put it on a disk that all machines share" in done.stderr
    assert not list((tmp_path / "one").iterdir())


ON_SLURM = """
submitted=$(sbatch --parsable job.sh)
while [ ! -s runs/slurm/metrics.jsonl ]; do sleep 0.1; done
scancel --signal=USR1 $submitted
while squeue --noheader --jobs=$submitted | grep -q .; do sleep 0.5; done
"""


@pytest.mark.skipif(bool(slurm_local.missing()), reason="SLURM and munge are not installed")
def test_a_job_of_slurm_is_queued_again_and_ends_with_the_bits_of_an_undisturbed_run(
    place: Path, alone: RunFolder, tracking_uri: str
) -> None:
    """Two nodes with a task each; USR1, as before the end of its time, in the midst of the training."""
    command = " ".join([*RUN, "--folder", "runs/slurm"])
    resources = Resources(nodes=2, gpus_per_node=0, cpus_per_task=1, time="10")
    (place / "job.sh").write_text(
        job_script(command, resources, name="test", log="job.out").replace("sleep 60", "true")
    )
    done = subprocess.run(
        [sys.executable, slurm_local.__file__, "bash", "-c", ON_SLURM],
        cwd=place,
        env=environment(tracking_uri),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    output = done.stdout + done.stderr + (place / "job.out").read_text()
    assert done.returncode == 0, output
    assert "stopped by SIGUSR1; step " in output
    assert "continuing from step-" in output
    assert "task small on 2 nodes x 1 x CPU" in output
    assert same_bits(RunFolder(place / "runs/slurm"), alone), output
