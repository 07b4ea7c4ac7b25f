"""Starts the processes of a run, one per device, and makes sure that none outlives the others."""

import atexit
import logging
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
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

import __main__
from medvid.config.task import TrainOptions
from medvid.devices.waiting import leave_group, wait_for_all
from medvid.errors import DistributedError, Interrupted
from medvid.signals import STOP_SIGNALS, StopSignal
from medvid.started import FIRST, speaks, unstarted_note
from medvid.training.device import make_fabric

logger = logging.getLogger("medvid")

Process = subprocess.Popen[bytes]

EXIT_TIMEOUT = 15.0
"""Seconds that a process has to end by itself after another one has failed."""
START_TIMEOUT = 2.0
"""The same while the processes are still waiting for each other to start."""
WAIT_TOLD, WAIT_TIMEOUT = 60.0, 600.0
"""Seconds that processes wait for each other at the start before they say so, and then before they give up."""
TERMINATE_AFTER, KILL_AFTER = 3.0, 1.0
"""Seconds that the first process, at its own end, waits before it terminates the others, and then kills them."""


def _launch(options: TrainOptions) -> Fabric:
    """The Fabric of this process, after the others were started, unless torchrun or a scheduler has started them.

    Fabric would start them too, but kill this one as soon as another ends, before it could say why and close the run.

    Raises:
        DistributedError: the task asks for other devices than the processes that were started can have.
        ResourceError: the task asks for devices that this machine does not have.
    """
    if speaks() and (note := unstarted_note()):
        logger.warning(note)
    fabric = make_fabric(options)
    strategy, launched = fabric.strategy, threading.Event()
    others: list[Process] = []
    if isinstance(strategy, DDPStrategy) and (environment := strategy.cluster_environment):
        count = strategy.num_processes
        if not environment.creates_processes_externally:
            os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
            os.environ |= {"WORLD_SIZE": str(count), "NODE_RANK": "0", "LOCAL_RANK": "0", FIRST: str(os.getpid())}
            others = [_start(rank) for rank in range(1, count)]
            atexit.register(_end_others, others)
            threading.Thread(target=_end_with_others, args=(others, launched), daemon=True).start()
        elif strategy.global_rank:
            first = int(os.environ.get(FIRST, os.getppid()))
            threading.Thread(target=_end_with_first, args=(first, launched), daemon=True).start()
        meeting = f"{environment.main_address}:{environment.main_port}"
        threading.Thread(target=_end_unless_all_come, args=(launched, meeting, strategy), daemon=True).start()
    is_alone = not isinstance(strategy, DDPStrategy)
    with nullcontext() if is_alone else _signals_end_all(others), _failures_named(fabric):
        if isinstance(strategy, DDPStrategy):
            _meet_after_restart(strategy)
        fabric.launch()
        wait_for_all()
    launched.set()
    return fabric


def _meet_after_restart(strategy: DDPStrategy) -> None:
    """Let processes that torchrun has restarted meet before Fabric does it: it then takes the group that there is.

    torch would read addresses of the processes before, which are still in torchrun's store, and fail or wait forever.
    """
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if restarts == "0" or torch.distributed.is_initialized():
        return
    rank, count = strategy.global_rank, strategy.num_nodes * strategy.num_processes
    store, _, _ = next(rendezvous("env://", rank, count))
    torch.distributed.init_process_group(
        strategy._get_process_group_backend(),
        store=PrefixStore(f"restart-{restarts}", store),
        rank=rank,
        world_size=count,
        device_id=None if strategy.root_device.type == "cpu" else strategy.root_device,
    )


@contextmanager
def launched(options: TrainOptions) -> Iterator[Fabric]:
    """The Fabric of this process, after the others were started; they part in order after the block.

    A process that ends while it is in the group may be aborted, by threads of the group that still run.

    Raises:
        DistributedError: the task asks for other devices than the processes that were started can have, or they do not
            find each other.
        ResourceError: the task asks for devices that this machine does not have.
    """
    fabric = _launch(options)
    try:
        yield fabric
    except BaseException as error:
        # NCCL would wait for what the others no longer send.
        if isinstance(error, Interrupted) or isinstance(error.__cause__, Interrupted):
            _part()
        elif torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
            leave_group()
        raise
    _part()


def _part() -> None:
    """Leave the group once all others do, unless they are gone."""
    with suppress(RuntimeError):
        wait_for_all()
    leave_group()


@contextmanager
def _failures_named(fabric: Fabric) -> Iterator[None]:
    """Within the block, that the processes do not find each other is an error with the place where they meet.

    Raises:
        DistributedError: with what to look at.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        environment = getattr(fabric.strategy, "cluster_environment", None)
        if environment is None:
            raise
        raise DistributedError(
            f"the {fabric.world_size} processes of the run do not meet at {environment.main_address}:"
            f"{environment.main_port}: {(str(error) or type(error).__name__).splitlines()[0]}",
            hint="MASTER_ADDR has to be the first node as the others reach it, MASTER_PORT a port that is free there",
        ) from error


def _end_unless_all_come(launched: threading.Event, meeting: str, strategy: DDPStrategy) -> None:
    """End this process if others have not come to where they meet after a long time."""
    count = strategy.num_nodes * strategy.num_processes
    if not launched.wait(WAIT_TOLD) and strategy.global_rank == 0:
        logger.warning("waiting at %s for the other processes of the run, %d in all", meeting, count)
    if not launched.wait(WAIT_TIMEOUT):
        message = f"process {strategy.global_rank} of {count} has waited {WAIT_TIMEOUT + WAIT_TOLD:.0f} s at {meeting}"
        hint = "hint: were all of them started, and can their machines reach each other?"
        print(f"error[{DistributedError.kind}]: {message}\n{hint}", file=sys.stderr, flush=True)
        os._exit(DistributedError.exit_code)


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
