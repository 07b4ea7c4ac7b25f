"""Starts the processes of a run, one per device, and makes sure that none outlives the others."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import NoReturn

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

import __main__
from medvid.config.task import TrainOptions
from medvid.devices.waiting import leave_group, wait_for_all
from medvid.errors import DistributedError, Interrupted
from medvid.signals import STOP_SIGNALS, StopSignal
from medvid.started import FIRST
from medvid.training.device import make_fabric

Process = subprocess.Popen[bytes]

EXIT_TIMEOUT = 15.0
"""Seconds that a process has to end by itself after another one has failed."""
START_TIMEOUT = 2.0
"""The same while the processes are still waiting for each other to start."""
TERMINATE_AFTER, KILL_AFTER = 3.0, 1.0
"""Seconds that the first process, at its own end, waits before it terminates the others, and then kills them."""


def launch(options: TrainOptions) -> Fabric:
    """The Fabric of this process, after the others were started, unless torchrun or a scheduler has started them.

    Fabric would start them too, but kill this one as soon as another ends, before it could say why and close the run.

    Raises:
        DistributedError: the task asks for other devices than the processes that were started can have.
        ResourceError: the task asks for devices that this machine does not have.
    """
    fabric = make_fabric(options)
    strategy, launched = fabric.strategy, threading.Event()
    others: list[Process] = []
    if not isinstance(strategy, DDPStrategy) and torch.distributed.is_initialized():
        leave_group()  # those of an earlier run of this program, as one is evaluated on a single device after it
    if isinstance(strategy, DDPStrategy) and (environment := strategy.cluster_environment):
        count = strategy.num_processes
        if not environment.creates_processes_externally:
            os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
            os.environ |= {"WORLD_SIZE": str(count), "NODE_RANK": "0", "LOCAL_RANK": "0", FIRST: str(os.getpid())}
            others = [_start(rank) for rank in range(1, count)]
            atexit.register(_end_others, others)
            threading.Thread(target=_end_with_others, args=(others, launched), daemon=True).start()
        elif environment.local_rank():
            first = int(os.environ.get(FIRST, os.getppid()))
            threading.Thread(target=_end_with_first, args=(first, launched), daemon=True).start()
    with _signals_end_all(others) if others else nullcontext():
        fabric.launch()
        wait_for_all()
    launched.set()
    return fabric


def _start(rank: int) -> Process:
    """Start this program once more.

    In a group of its own, as Ctrl-C is meant for the first process, which stops them all at the same step.
    """
    spec = __main__.__spec__
    program = ["-m", spec.name] if spec else [os.path.abspath(sys.argv[0])]  # noqa: PTH100 (keeps symlinks)
    # torch's warnings from C++ are those of the first process again
    variables = {"TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ, "LOCAL_RANK": str(rank)}
    return subprocess.Popen([sys.executable, *program, *sys.argv[1:]], env=variables, process_group=0)


@contextmanager
def _signals_end_all(others: Sequence[Process]) -> Iterator[None]:
    """Within the block, a signal ends the processes, though this one waits in C++, where no handler of Python runs."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_end_by_signal, args=(reader, others), daemon=True).start()
    with StopSignal():
        previous = signal.set_wakeup_fd(writer)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)
            os.close(writer)


def _end_by_signal(reader: int, others: Sequence[Process]) -> None:
    """End the processes as soon as the number of a signal to stop comes out of a pipe, until its end."""
    with open(reader, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if number[0] in STOP_SIGNALS:
                stop = f"stopped by {signal.Signals(number[0]).name} before anything was trained"
                _end_all(others, f"error[{Interrupted.kind}]: {stop}", 128 + number[0])


def _end_with_others(others: Sequence[Process], launched: threading.Event) -> None:
    """End this process some time after another failed, if it still waits for that one by then."""
    while not (failed := [rank for rank, other in enumerate(others, start=1) if _has_failed(other, launched)]):
        time.sleep(0.5)
    rank, known = failed[0], launched.is_set()
    time.sleep(EXIT_TIMEOUT if known else START_TIMEOUT)
    message = f"error[{DistributedError.kind}]: process {rank} ended with exit status {others[rank - 1].returncode}"
    hint = f"\nhint: see run-{rank}.log in the run's folder" if known else " before the run began"
    _end_all(others, message + hint, DistributedError.exit_code)


def _has_failed(process: Process, launched: threading.Event) -> bool:
    """Whether a process ended out of order: once they are launched, all stop together, the first one last."""
    stopped = [128 + number for number in STOP_SIGNALS] if launched.is_set() else []
    return process.poll() not in (None, 0, *stopped)


def _end_all(others: Sequence[Process], message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    for other in others:
        other.kill()
    os._exit(code)


def _end_others(others: Sequence[Process]) -> None:
    """Wait for the end of the others at the end of the first process, as there is nothing left for them to do."""
    for seconds, end in ((TERMINATE_AFTER, Process.terminate), (KILL_AFTER, Process.kill)):
        deadline = time.monotonic() + seconds
        for other in others:
            with suppress(subprocess.TimeoutExpired):
                other.wait(max(0.0, deadline - time.monotonic()))
            end(other)


def _end_with_first(first: int, launched: threading.Event) -> None:
    """End this process some time after the first one has ended, or at once if it waits for that one to start."""
    while os.getppid() == first:
        time.sleep(0.5)
    if launched.is_set():
        time.sleep(EXIT_TIMEOUT)
    os._exit(DistributedError.exit_code)
