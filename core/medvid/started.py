"""What started this process: torchrun, srun, another process of medvid, or nobody in particular."""

import os
from dataclasses import dataclass

from medvid.errors import DistributedError

FIRST = "MEDVID_FIRST_PROCESS"
"""Variable with the id of the first process, in those that it started; it may be gone by the time they ask for their
parent."""


@dataclass(frozen=True, slots=True)
class Started:
    """The processes of a run that something else started.

    Args:
        by: what.
        processes: their number.
        machines: that they are on.
        again: how to start another number, to be formatted with it.
    """

    by: str
    processes: int
    machines: int
    again: str


def is_one_of_several() -> bool:
    """Whether this is one of several processes of a run, which have to agree on what they do.

    Raises:
        DistributedError: as `find_started`.
    """
    return FIRST in os.environ or find_started() is not None


def find_started() -> Started | None:
    """What started this process as one of several; None where this one starts the others, or the first one started it.

    Raises:
        DistributedError: SLURM granted several tasks and did not start this process as one of them; or variables
            hold numbers that do not fit.
    """
    if FIRST in os.environ:
        return None
    if "LOCAL_RANK" in os.environ:  # of torchrun, and of what does as it does
        by = "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "what set LOCAL_RANK"
        processes = _count("WORLD_SIZE", 1)
        if (rank := os.environ["LOCAL_RANK"]) not in map(str, range(processes)):
            raise DistributedError(
                f"the variable LOCAL_RANK is {rank!r}, but WORLD_SIZE declares {processes} processes, counted from 0",
                hint="torchrun sets both; where it is not meant: unset LOCAL_RANK",
            )
        machines = processes // _count("LOCAL_WORLD_SIZE", processes)
        return Started(by, processes, machines, "torchrun --nnodes=1 --nproc-per-node={}")
    tasks = _count("SLURM_NTASKS", 1)
    if tasks == 1:
        return None
    again = "srun --nodes=1 --ntasks={} platform run ..."
    if "SLURM_STEP_ID" not in os.environ:
        raise DistributedError(
            f"this job of SLURM has {tasks} tasks (SLURM_NTASKS), but srun did not start this process as one of them",
            hint=f"{again.format(tasks)}; or sbatch --ntasks=1 with --set train.devices={tasks}",
        )
    return Started("srun", tasks, _count("SLURM_NNODES", 1), again)


def _count(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isdecimal() and int(text)):
        raise DistributedError(
            f"the variable {variable} is {text!r}, but has to be a whole number of at least 1",
            hint=f"torchrun and srun set it so; where neither is meant: unset {variable}",
        )
    return int(text)
