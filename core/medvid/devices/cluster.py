"""Who starts the processes of a run, and whether that agrees with the devices that its task asks for."""

import os
from dataclasses import dataclass

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from medvid.config.task import TrainOptions
from medvid.errors import DistributedError, ResourceError
from medvid.started import FIRST, Started, find_started


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the processes of a run are, one for each device.

    Args:
        nodes: machines.
        per_node: processes on each.
    """

    nodes: int
    per_node: int


def find_layout(options: TrainOptions, available: int) -> Layout:
    """How many devices a run uses, and on how many machines.

    Args:
        options: the training recipe.
        available: the devices that this machine has; 0 where there may be any number of processes.

    Raises:
        DistributedError: the task asks for another number than were started, or than CUDA_VISIBLE_DEVICES shows, or
            the number that were started is not readable.
        ResourceError: this machine does not have as many.
    """
    started = find_started()
    devices = (started.processes if started else available or 1) if options.devices == "auto" else options.devices
    _check_number(started, devices)
    layout = Layout(started.nodes, started.per_node) if started else Layout(1, devices)
    if available and layout.per_node > available:
        hint = f"set train.devices to {available} or less: --set train.devices={available}"
        if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
            raise DistributedError(
                f"the run has {layout.per_node} processes on this machine, one for each GPU, but "
                f"CUDA_VISIBLE_DEVICES={visible} shows each of them {available}",
                hint=f"{hint}; in SLURM, ask for --gpus-per-node={layout.per_node} rather than --gpus-per-task=1",
            )
        if "SLURM_JOB_ID" in os.environ and not started:
            hint += "; for the GPUs of several nodes: srun platform run ..."
        raise ResourceError(f"train.devices asks for {devices} GPUs, this machine has {available}", hint=hint)
    return layout


def _check_number(started: Started | None, devices: int) -> None:
    if started and devices != started.processes:
        raise DistributedError(
            f"{started}, but train.devices is {devices}: each has one device",
            hint=f"--set train.devices={started.processes} (or auto), or {started.again(devices)}",
        )
    before = os.environ.get("WORLD_SIZE", "") if FIRST in os.environ else ""
    if before and devices > 1 and before != str(devices):
        raise DistributedError(
            f"this program has started {before} processes before, and now train.devices is {devices}",
            hint="run it in a program of its own",
        )


class RunEnvironment(ClusterEnvironment):
    """Tells Fabric where the processes of a run are and meet, by what started them alone.

    Fabric would guess from more variables, and take a script for SLURM for one of its tasks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._started = find_started()
        self._rank, self._size = 0, 1
        if self._started:
            self._address, self._port = self._started.address, self._started.port
        elif FIRST in os.environ:
            self._address, self._port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        else:
            self._address, self._port = "127.0.0.1", find_free_network_port()

    @property
    def creates_processes_externally(self) -> bool:
        """Whether all processes are there already."""
        return self._started is not None or FIRST in os.environ

    @property
    def main_address(self) -> str:
        """Of the first machine."""
        return self._address

    @property
    def main_port(self) -> int:
        """At which the processes meet."""
        return self._port

    @staticmethod
    def detect() -> bool:
        """Whether it can be used: always."""
        return True

    def world_size(self) -> int:
        """All processes."""
        return self._size

    def set_world_size(self, size: int) -> None:
        """As the strategy has counted."""
        self._size = size

    def global_rank(self) -> int:
        """The number of this process."""
        return self._rank

    def set_global_rank(self, rank: int) -> None:
        """As the strategy has counted."""
        self._rank = rank

    def local_rank(self) -> int:
        """The number of this process on its machine."""
        if self._started:
            return self._started.local
        return int(os.environ.get("LOCAL_RANK", "0")) if FIRST in os.environ else 0

    def node_rank(self) -> int:
        """The number of this machine."""
        return self._started.node if self._started else 0
