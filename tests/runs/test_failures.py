"""A run of two processes, here on the CPU: one order of cases, one decision to stop, one voice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.runs.conftest import setting
from torch import Tensor

import medvid
from medvid.runs.folder import RunFolder, read_metrics
from medvid.training.checkpoint import best_step

Start = Callable[..., "subprocess.Popen[str]"]

TWO = setting("train.devices=2", "train.accelerator=cpu", "train.batch_size=1")
STEPS = 100
LONG = setting(
    f"train.steps={STEPS}", f"train.checkpoint_every={STEPS}", "evaluation.every=null", "train.workers=1",
    "train.clip_norm=1.0", "train.ema=0.9", "backbone.drop_path_rate=0.2",
)  # fmt: skip
"""Of small.yaml: long enough to be stopped in the midst of it, and half of its backbone gets no gradient."""

FAILING = """
import sys
from pathlib import Path
from lightning_fabric import Fabric
from medvid.errors import DataError, MedvidError
from medvid.runs.folder import RunFolder
from medvid.runs.failures import failures_reported_by_first

fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
fabric.launch()
try:
    with failures_reported_by_first(fabric, RunFolder(Path(sys.argv[1]))):
        if fabric.global_rank == 1:
            raise {error}
        fabric.barrier()
except MedvidError as error:
    print(f"{{error.kind}}: {{error}}")
    sys.exit(error.exit_code)
"""


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def the_run(task: str = "small") -> RunFolder:
    [folder] = Path("runs", task).iterdir()
    return RunFolder(folder.absolute())


def other_process(run: "subprocess.Popen[str]") -> Path:
    """The folder under /proc of the second process, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert run.poll() is None, run.communicate()[0]
        for child in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split():
            with suppress(OSError):  # others come and go, such as git for the commit
                if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes():
                    return Path(f"/proc/{child}")
        time.sleep(0.05)
    raise AssertionError("no second process")


def is_over(process: Path) -> bool:
    """Whether a process has ended, or does within the moment that the kernel takes from its last file to its end."""
    deadline = time.monotonic() + 5
    with suppress(OSError):  # it is gone
        while "zombie" not in (process / "status").read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def read_until(text: str, run: "subprocess.Popen[str]") -> str:
    lines = [""]
    assert run.stdout
    while text not in lines[-1]:
        lines.append(run.stdout.readline())
        assert lines[-1], "".join(lines)
    return "".join(lines)


def states(folder: RunFolder) -> dict[str, Tensor]:
    """All weights and statistics of the last checkpoint, as saved and as averaged."""
    files = sorted(max(folder.checkpoints.iterdir()).glob("*.safetensors"))
    return {f"{file.stem}/{name}": value for file in files for name, value in load_file(file).items()}


def losses(folder: RunFolder) -> list[float]:
    return [row["values"]["loss"] for row in read_metrics(folder.metrics) if row["split"] == "train"]


def test_two_processes_train_as_one_does_on_twice_the_batch(tiny_task: Path, start: Start) -> None:
    """To the weights and the statistics of its batch norms, and to the choice of the best."""
    calm = [
        "backbone.dropout_rate=0",
        "head.norm_name=batch",
        "train.optimizer={name: sgd, lr: 0.1}",
        "evaluation.every=3",
    ]
    run = start("run", tiny_task, *TWO, *setting(*calm))
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert "task tiny on 2 x CPU" in output
    assert output.count("finished in") == 1
    assert "GLOBAL_RANK" not in output
    folder = the_run("tiny")
    dice = json.loads(folder.summary.read_text())["metrics"]["dice"]
    evaluation, _ = medvid.load_run(folder.path).evaluate(output=Path("again"))  # in one process
    assert evaluation.metrics["dice"] == pytest.approx(dice, rel=1e-4)
    alone = medvid.run(tiny_task, [*calm, "train.batch_size=2", "output=alone"])
    assert losses(folder) == pytest.approx(losses(alone.folder), rel=1e-4)
    assert dice == pytest.approx(alone.summary["metrics"]["dice"], abs=1e-4)
    assert best_step(folder.checkpoints) == best_step(alone.folder.checkpoints)
    found, wanted = states(folder), states(alone.folder)
    assert any(name.endswith("running_var") for name in wanted)
    # The gradient of a bias in front of a norm is nothing but rounding.
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=5e-4)


def test_one_is_asked_to_stop_and_both_do(small_task: Path, start: Start) -> None:
    whole = start("run", small_task, *TWO, *LONG)
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output
    assert "not trained, as the loss does not depend on them (" in output
    uninterrupted = the_run().path.rename("whole")

    run = start("run", small_task, *TWO, *LONG)
    deadline = time.monotonic() + 120
    while not list(Path("runs/small").glob("*/metrics.jsonl")):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    other = other_process(run)
    os.kill(run.pid, signal.SIGTERM)
    output = read_until("error[INTERRUPTED]", run)
    os.killpg(run.pid, signal.SIGINT)  # somebody in a hurry
    run.wait(timeout=60)
    assert is_over(other)  # the first was the last to end
    output += run.communicate()[0]
    assert run.returncode == 143, output
    assert output.count("error[INTERRUPTED]: stopped by SIGTERM") == 1
    assert f"platform run --resume {the_run().path}" in output
    assert "Exception ignored" not in output
    assert not list(the_run().path.glob(".failure*"))

    resumed = start("run", "--resume", the_run().path)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    found, wanted = states(the_run()), states(RunFolder(uninterrupted.absolute()))
    assert found.keys() == wanted.keys()
    assert all(found[name].equal(wanted[name]) for name in wanted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_both_at_once(small_task: Path, start: Start, number: signal.Signals) -> None:
    run = start("run", small_task, *TWO)
    other = other_process(run)
    time.sleep(0.5)
    os.killpg(run.pid, number)
    output, _ = run.communicate(timeout=10)  # long before anybody gives up waiting
    assert run.returncode == 128 + number
    assert output.endswith(f"error[INTERRUPTED]: stopped by {number.name} before anything was trained\n")
    assert "Traceback" not in output
    assert is_over(other)


def test_the_other_does_not_outlive_a_first_that_is_killed_during_the_start(small_task: Path, start: Start) -> None:
    run = start("run", small_task, *TWO)
    other = other_process(run)
    run.kill()
    run.communicate(timeout=30)  # the end of the output, which the other holds too
    assert is_over(other)
    assert not Path("runs").exists()


def test_the_death_of_one_ends_the_run_in_order(small_task: Path, start: Start) -> None:
    run = start("run", small_task, *TWO, *LONG, *setting("train.steps=100000"))
    deadline = time.monotonic() + 120
    while not list(Path("runs/small").glob("*/metrics.jsonl")):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(int(other_process(run).name), signal.SIGKILL)
    output, _ = run.communicate(timeout=30)
    assert run.returncode == 8, output
    assert "error[DISTRIBUTED]: one of the 2 processes of the run exited without an error message" in output
    assert json.loads(the_run().summary.read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("DataError('case 7 is broken')", "process 1 of 2 failed: case 7 is broken"),
        ("ZeroDivisionError('no')", "process 1 of 2 failed: ZeroDivisionError: no"),
    ],
)
def test_the_first_tells_why_another_failed(tmp_path: Path, error: str, told: str) -> None:
    script = tmp_path / "failing.py"
    script.write_text(FAILING.format(error=error))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 8, done.stderr
    assert done.stdout == f"DISTRIBUTED: {told}\n"
    assert not list(tmp_path.glob(".failure*"))
