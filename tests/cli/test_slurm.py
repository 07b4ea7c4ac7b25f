import subprocess
from pathlib import Path

import pytest

from medvid.cli.main import main
from medvid.errors import ConfigError
from medvid.slurm import Array, Resources, job_script

TASK = Path(__file__).parents[1] / "runs" / "tiny.yaml"


def test_the_script_of_a_run_can_be_repeated_and_says_what_a_step_takes(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--nodes",
        "2",
        "--gpus-per-node",
        "4",
        "--partition",
        "a100",
        "--extra=--account=med",
        "--set",
        "seed=3",
    ]
    assert main(["slurm", str(TASK), "--print", "--time", "2-00:00:00", *options]) == 0
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert {"--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--time=2-00:00:00", "--requeue"} <= asked
    assert {"--signal=USR1@120", "--open-mode=append", "--account=med", "--partition=a100"} <= asked
    assert "--output=runs/tiny/unetr-s3-%j.out" in asked
    assert "# 16 cases per step: 8 processes x batch_size 2." in lines
    [run] = [line for line in lines if line.startswith("srun ")]
    assert run.endswith(f"run {TASK} --folder runs/tiny/unetr-s3 --set seed=3 --set train.devices=auto")
    assert '[ $code = 138 ] && scontrol requeue "$SLURM_JOB_ID"' in script


def test_a_run_on_the_cpu_asks_for_no_gpu_and_keeps_its_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slurm", str(TASK), "--print", "--gpus-per-node", "0", "--demo", "--folder", "runs/with space"]) == 0
    script = capsys.readouterr().out
    assert "--gpus" not in script
    assert "--ntasks-per-node=1" in script
    assert "platform run" in script
    assert "--folder 'runs/with space' --demo\n" in script
    assert '#SBATCH --output="runs/with space-%j.out"' in script


def test_a_job_of_an_array_queues_itself_and_not_the_array() -> None:
    command = "platform study cell s $SLURM_ARRAY_TASK_ID"
    script = job_script(command, Resources(), name="s", log="s/%A_%a.out", array=Array("0-24", 4))
    assert "#SBATCH --array=0-24%4\n" in script
    assert 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"' in script
    assert f" {command}\n" in script


@pytest.mark.parametrize(
    "given", [Resources(time="a day"), Resources(extra=("account=med",)), Resources(extra=("--a\nb",))]
)
def test_what_sbatch_would_not_understand_is_refused(given: Resources) -> None:
    with pytest.raises(ConfigError):
        job_script("true", given, name="a", log="b")


def test_where_jobs_cannot_be_submitted_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["slurm", str(TASK)]) == 6
    assert "there is no sbatch on this machine" in capsys.readouterr().err
