"""Job scripts for SLURM: what people would write by hand, to be read, changed and submitted by them.

A job saves its state two minutes before its time is up and is queued again, to go on where it was; SLURM itself queues
a job again that it has to make way for another one. So what a job runs has to go on where it was stopped.
"""

import re
import subprocess
from dataclasses import dataclass

from medvid.errors import ConfigError, ResourceError

GRACE = 120
"""Seconds before the end of a job's time at which it is told to save; SLURM may tell it a minute earlier."""
_TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job asks for.

    Args:
        nodes: machines.
        gpus_per_node: on each, with a process for each; 0: one process on its CPU.
        cpus_per_task: cores of a process and its loader processes.
        time: longest duration, as for ``sbatch --time``, after which the job is queued again.
        partition: of the cluster; default: its own.
        extra: further options of sbatch, such as ``--account=med``.
    """

    nodes: int = 1
    gpus_per_node: int = 1
    cpus_per_task: int = 4
    time: str = "24:00:00"
    partition: str | None = None
    extra: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """All processes of the job."""
        return self.nodes * max(1, self.gpus_per_node)


@dataclass(frozen=True, slots=True)
class Array:
    """Jobs of one script that differ in SLURM_ARRAY_TASK_ID.

    Args:
        indices: as for ``sbatch --array``, such as ``0-24`` or ``3,7``.
        concurrency: jobs at a time; None: as many as the cluster lets run.
    """

    indices: str
    concurrency: int | None = None


def job_script(
    command: str, resources: Resources, *, name: str, log: str, array: Array | None = None, notes: tuple[str, ...] = ()
) -> str:
    """The script of a job, or of an array of them, to be submitted by sbatch.

    Args:
        command: of the shell, to be run by each process; goes on where it was stopped when it is run again.
        resources: for each job.
        name: of the job.
        log: file for the output; %j is the number of the job, %A and %a those of an array and of the job in it.
        array: default: a single job.
        notes: lines for whoever reads the script.

    Raises:
        ConfigError: an option that sbatch would not understand.
    """
    options = _options(resources, name, log, array)
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            "",
            *(f"# {note}" for note in notes),
            "srun --cpus-per-task=$SLURM_CPUS_PER_TASK " + command,
            "code=$?",
            "# 138: USR1 came before the time was up, and all is saved. SLURM itself queues a job that makes way.",
            f'[ $code = 138 ] && scontrol requeue "{_job_id(array)}" && sleep 60',
            "exit $code",
            "",
        ]
    )


def submit(script: str) -> str:
    """Submit a script.

    Returns:
        What sbatch says.

    Raises:
        ConfigError: sbatch refuses it.
        ResourceError: there is no sbatch.
    """
    try:
        done = subprocess.run(["sbatch"], input=script, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise ResourceError(
            "there is no sbatch on this machine", hint="run this where jobs are submitted, or see the script: --print"
        ) from None
    if done.returncode:
        raise ConfigError(f"sbatch refuses the job: {done.stderr.strip()}", hint="see the script: --print")
    return done.stdout.strip()


def _options(resources: Resources, name: str, log: str, array: Array | None) -> list[str]:
    if not _TIME.fullmatch(resources.time):
        raise ConfigError(
            f"--time {resources.time!r} is not a duration of SLURM", hint="--time 24:00:00, or 2-12:00:00"
        )
    for option in resources.extra:
        if not option.startswith("--") or "\n" in option:
            raise ConfigError(f"{option!r} is not an option of sbatch", hint="--extra=--account=med")
    limit = f"%{array.concurrency}" if array and array.concurrency else ""
    return [
        f"--job-name={_quoted(name)}",
        *([f"--array={array.indices}{limit}"] if array else []),
        f"--nodes={resources.nodes}",
        f"--ntasks-per-node={max(1, resources.gpus_per_node)}",
        *([f"--gpus-per-node={resources.gpus_per_node}"] if resources.gpus_per_node else []),
        f"--cpus-per-task={resources.cpus_per_task}",
        f"--time={resources.time}",
        *([f"--partition={resources.partition}"] if resources.partition else []),
        f"--output={_quoted(log)}",
        "--open-mode=append",
        f"--signal=USR1@{GRACE}",
        "--requeue",
        *resources.extra,
    ]


def _job_id(array: Array | None) -> str:
    """How a job names itself; of an array, the number of one of its jobs is that of the whole array too."""
    return "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" if array else "$SLURM_JOB_ID"


def _quoted(text: str) -> str:
    """As sbatch reads it, for which a space ends a value."""
    return f'"{text}"' if " " in text else text
