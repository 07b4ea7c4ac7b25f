"""Starts the processes of a run, one per device, and sees to it that none outlives the others."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

import __main__
from medvid.config.task import TrainOptions
from medvid.errors import DistributedError
from medvid.training.device import make_fabric

GRACE = 15.0
"""Seconds that a process has to end by itself after another one has failed."""


def launch(options: TrainOptions) -> Fabric:
    """The Fabric of this process, after the others were started, unless torchrun or a scheduler has started them.

    Fabric would start them too, but kill this one as soon as another ends, before it could say why and close the run.

    Raises:
        ResourceError: the task asks for devices that this machine does not have.
    """
    fabric = make_fabric(options)
    strategy = fabric.strategy
    if isinstance(strategy, DDPStrategy) and (environment := strategy.cluster_environment):
        count = strategy.num_processes
        if not environment.creates_processes_externally:
            os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
            os.environ |= {"WORLD_SIZE": str(count), "NODE_RANK": "0", "LOCAL_RANK": "0"}
            others = [_start(rank) for rank in range(1, count)]
            threading.Thread(target=_end_with_others, args=(others,), daemon=True).start()
        elif environment.local_rank():
            threading.Thread(target=_end_with_first, args=(os.getppid(),), daemon=True).start()
    fabric.launch()
    return fabric


def _start(rank: int) -> "subprocess.Popen[bytes]":
    """Start this program once more."""
    spec = __main__.__spec__
    program = ["-m", spec.name] if spec else [os.path.abspath(sys.argv[0])]  # noqa: PTH100 (keeps symlinks)
    return subprocess.Popen([sys.executable, *program, *sys.argv[1:]], env={**os.environ, "LOCAL_RANK": str(rank)})


def _end_with_others(others: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End this process some time after another failed, if it still waits for that one by then."""
    while not (failed := [rank for rank, other in enumerate(others, start=1) if other.poll()]):
        time.sleep(0.5)
    time.sleep(GRACE)
    rank = failed[0]
    print(
        f"error[{DistributedError.kind}]: process {rank} ended with exit status {others[rank - 1].returncode}\n"
        f"hint: see run-{rank}.log in the run's folder",
        file=sys.stderr,
        flush=True,
    )
    for other in others:
        other.kill()
    os._exit(DistributedError.exit_code)


def _end_with_first(first: int) -> None:
    """End this process some time after the first one has ended."""
    while os.getppid() == first:
        time.sleep(0.5)
    time.sleep(GRACE)
    os._exit(DistributedError.exit_code)
