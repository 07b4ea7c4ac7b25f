"""Who starts the processes of a run, and whether that agrees with the devices that its task asks for."""

import os

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from medvid.config.task import TrainOptions
from medvid.errors import DistributedError, ResourceError
from medvid.started import Started, find_started


def find_devices(options: TrainOptions, available: int) -> int:
    """How many devices a run uses, on this one machine.

    Args:
        options: the training recipe.
        available: the devices that there are; 0 where there may be any number of processes.

    Raises:
        DistributedError: the task asks for another number than were started, or than CUDA_VISIBLE_DEVICES shows, or
            the number that were started is not readable.
        ResourceError: this machine does not have as many.
    """
    started = find_started()
    devices = (started.processes if started else available or 1) if options.devices == "auto" else options.devices
    if started:
        _check_started(started, devices)
    if available and devices > available:
        hint = f"set train.devices to {available} or less: --set train.devices={available}"
        if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
            raise DistributedError(
                f"the run has {devices} processes, one for each GPU, but CUDA_VISIBLE_DEVICES={visible} shows each of "
                f"them {available}",
                hint=f"{hint}; in SLURM, ask for --gres=gpu:{devices} rather than --gpus-per-task=1",
            )
        raise ResourceError(f"train.devices asks for {devices} GPUs, this machine has {available}", hint=hint)
    return devices


def _check_started(started: Started, devices: int) -> None:
    if started.machines > 1:
        raise DistributedError(
            f"{started.by} started {started.processes} processes on {started.machines} machines, and a run has all of "
            "its processes on one",
            hint=f"start them on one machine: {started.again.format(devices)}",
        )
    if devices != started.processes:
        raise DistributedError(
            f"{started.by} started {started.processes} processes, but train.devices is {devices}: each has one device",
            hint=f"--set train.devices={started.processes} (or auto), or {started.again.format(devices)}",
        )


def find_environment() -> ClusterEnvironment | None:
    """What tells the processes of each other; None: as fabric finds it."""
    if "SLURM_NTASKS" not in os.environ or torch.distributed.is_torchelastic_launched():
        return None
    started = find_started()
    if started is None or started.by != "srun":
        return LightningEnvironment()  # a task that starts processes itself, or one that something else started
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", os.environ["SLURM_NTASKS"])  # fabric asks for it; there is one node
    # In a job called "interactive", as salloc calls it, fabric would let each task of srun start all processes.
    return SLURMEnvironment() if os.environ.get("SLURM_TASK_PID") == str(os.getpid()) else None
