"""Options of the launchers that medvid ships."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from medvid.config.options import LauncherOptions


class LocalOptions(LauncherOptions):
    """Cells as processes of this machine."""

    name: Literal["local"] = "local"
    concurrency: PositiveInt = 1
    """Cells at a time. Where OMP_NUM_THREADS is not set, they share the cores."""
    devices_per_cell: PositiveInt | None = None
    """GPUs for each cell, as CUDA_VISIBLE_DEVICES; default: each sees all of them."""


class SlurmOptions(LauncherOptions):
    """Cells as one job array of SLURM."""

    name: Literal["slurm"] = "slurm"
    concurrency: PositiveInt | None = None
    """Cells, or trials of a search, at a time; default: as many as the cluster gives."""
    nodes: PositiveInt = 1
    """Machines for each cell."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 1
    """GPUs of each, with a process each; 0: one process on the CPU."""
    cpus_per_task: PositiveInt = 4
    """Cores of each process and its loader processes."""
    time: str = "24:00:00"
    """Longest duration of a job; before it is over the cell is saved, and the job queued again."""
    partition: str | None = None
    """Of the cluster; default: its own."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, e.g. "--account=med"."""
    submit: bool = True
    """Whether job.sh is submitted, or only written, to be read, changed and submitted by sbatch."""
