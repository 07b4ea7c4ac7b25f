"""Loader processes: how each starts, which case it is reading, and what is said when one dies or hangs."""

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ctypes import c_char, c_int64
from typing import Any, TypeVar

import torch
from torch.utils.data import get_worker_info

from medvid.errors import DataError, ResourceError
from medvid.training.signals import ignore_stop_signals

T = TypeVar("T")

_NAME_BYTES = 512
"""A case is known by so many bytes of its name."""


class Workers:
    """The processes of one loader. What they note of themselves is in memory that this process sees too.

    Args:
        wanted: how many; there are never more than cores. 0: this process loads.
        timeout: seconds to wait for a batch.
    """

    def __init__(self, wanted: int, timeout: int) -> None:
        self.count = min(wanted, os.cpu_count() or 1)
        self.timeout = timeout if self.count else 0
        self._ids = multiprocessing.RawArray(c_int64, self.count)
        self._names = [multiprocessing.RawArray(c_char, _NAME_BYTES) for _ in range(self.count)]

    def start(self, number: int) -> None:
        """Set up a process; called in it, by torch's DataLoader."""
        ignore_stop_signals()
        torch.set_num_threads(1)
        self._ids[number] = os.getpid()

    @contextmanager
    def reading(self, case: str) -> Iterator[None]:
        """Within the block, this process reads a case."""
        info = get_worker_info()
        if info is None:
            yield
            return
        self._names[info.id].value = case.encode()[: _NAME_BYTES - 1]
        try:
            yield
        finally:
            self._names[info.id].value = b""

    def watch(self, loader: Iterable[T]) -> Iterator[T]:
        """What a loader gives.

        Raises:
            DataError: there is nothing for `timeout` seconds.
            ResourceError: a process died.
        """
        try:
            yield from loader
        except RuntimeError as error:
            failure = self._explain(str(error))
            if failure is None:
                raise
            previous = _set_child_handler(signal.SIG_DFL)  # torch's would raise for the processes that are ended here
            self._kill()
        else:
            return
        # By now nothing holds the loader's iterator any more, which tidies up as it goes.
        _set_child_handler(previous)
        raise failure

    def _explain(self, text: str) -> DataError | ResourceError | None:
        """What a message of torch's loader means; None if it is no such message."""
        if "DataLoader timed out" in text:
            return DataError(
                f"{self._cases_of(self._ids)} was not read within {self.timeout} s",
                hint="repair or remove it; if the storage is only slow, allow more: --set train.load_timeout=3600",
            )
        if "DataLoader worker" in text:
            dead = map(int, re.findall(r"\d+", text))  # it gives their ids
            return ResourceError(
                f"a loader worker died while it read {self._cases_of(dead)}: {text.splitlines()[0]}",
                hint="usually memory ran out: try fewer workers (--set train.workers=0) or a smaller batch",
            )
        return None

    def _cases_of(self, processes: Iterable[int]) -> str:
        wanted = set(processes)
        names = [name.value for number, name in zip(self._ids, self._names, strict=True) if number in wanted]
        return " or ".join(f"case {name.decode(errors='replace')}" for name in names if name) or "a case"

    def _kill(self) -> None:
        """End the processes: one that hangs in a library heeds nothing else."""
        for number in filter(None, self._ids):  # 0 until a process has started, and to all of the group in os.kill
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def _set_child_handler(handler: Any) -> Any:
    """Set what is called when a child process ends, and return what was; only the main thread can, and has any."""
    return signal.signal(signal.SIGCHLD, handler) if threading.current_thread() is threading.main_thread() else None
