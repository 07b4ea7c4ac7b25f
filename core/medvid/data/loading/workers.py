"""Loader processes: they make values ahead, in order, and one that dies or hangs is reported at once.

Large arrays are handed over in anonymous memory that is known only by a file descriptor: a kill leaves nothing behind,
and /dev/shm is not used, which containers limit to 64 MB and where one byte too many kills the writer.
"""

import atexit
import errno
import io
import mmap
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, TypeVar

import torch
from torch import Tensor

from medvid.errors import DataError, MedvidError, ResourceError
from medvid.machine import usable_cores
from medvid.signals import ignore_stop_signals

Item = TypeVar("Item")
Value = TypeVar("Value")

_AHEAD = 2
"""Values per process that are in progress or wait to be taken."""
_ALIGNMENT = 64

_channel: Connection | None = None
"""The channel of this process, if it is a loader, to the process that it loads for."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How values are loaded.

    Args:
        workers: loader processes, at most one per core; 0: this one loads.
        timeout: seconds that allowed for a value; 0: no limit.
    """

    workers: int = 0
    timeout: int = 0


HERE = Loading()
"""In this process."""


def reading(case: str) -> None:
    """Say which case is read next, so that it can be named if this process dies or hangs."""
    if _channel is not None:
        _channel.send(case)


def load_ahead(
    load: Callable[[Item], Value], items: Iterable[Item], *, workers: int, timeout: int = 0
) -> Generator[Value, None, None]:
    """The result of `load` for each item, in order. Closing the generator ends the processes.

    Args:
        load: makes a value; needs to be picklable if processes are not forked; its errors are raised here.
        items: taken as they are needed.
        workers: processes, at most one per core; 0: this one loads.
        timeout: seconds to wait for a value; 0: no limit.

    Raises:
        DataError: a value did not come in time.
        ResourceError: a process died.
    """
    workers = min(workers, usable_cores())
    if not workers:
        yield from map(load, items)
        return
    pool = _Pool(load, workers)
    try:
        yield from pool.run(items, timeout)
    finally:
        pool.close()


class _Failure:
    """What a process sends if it could not make a value."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Worker:
    """A loader process, seen from the process that it loads for."""

    def __init__(self, load: Callable[[Any], Any]) -> None:
        self.tasks: deque[int] = deque()
        """Numbers of the values that it has to make."""
        self._case = ""
        self.channel, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_serve, args=(load, theirs, os.getpid()), daemon=True)
        try:
            self.process.start()
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()  # so that the channel ends with the process

    def give(self, number: int, item: Any) -> None:
        self.tasks.append(number)
        try:
            self.channel.send((number, item))
        except OSError:
            raise self._death() from None

    def receive(self) -> Iterator[tuple[int, Any]]:
        """Wait for a message: a value with its number, or only the name of the case that is read next."""
        try:
            message = self.channel.recv()
            if isinstance(message, str):
                self._case = message
                return
            value = _receive(self.channel, *message)
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EMFILE:  # this process has no descriptors left
                raise
            raise self._death() from None
        yield self.tasks.popleft(), value

    def hung(self, timeout: int) -> DataError:
        return DataError(
            f"{self._work()} was not read within {timeout} s",
            hint="repair or remove it; if the storage is only slow, allow more time: --set train.load_timeout=3600",
        )

    def _death(self) -> ResourceError:
        self.process.join(1)
        code = self.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return ResourceError(
            f"a loader worker died while it read {self._work()}: {how}",
            hint="usually memory ran out: try fewer workers (--set train.workers=0) or a smaller batch; "
            "SIGSEGV, SIGBUS and SIGABRT point to the library that reads the case, or to the disk",
        )

    def _work(self) -> str:
        return f"case {self._case}" if self._case and self.tasks else "a case"

    def close(self) -> None:
        """Kill the process; one that hangs in a library reacts to nothing else."""
        self.process.kill()
        self.process.join()
        self.channel.close()


class _Pool:
    """Processes that load one stream."""

    def __init__(self, load: Callable[[Any], Any], workers: int) -> None:
        self._workers: list[_Worker] = []
        # Before multiprocessing's own handler, which would wait for processes that ignore signals.
        atexit.register(self.close)
        try:
            for _ in range(workers):
                self._workers.append(_Worker(load))
        except BaseException:  # out of processes or open files: those already started must not stay
            self.close()
            raise

    def run(self, items: Iterable[Any], timeout: int) -> Iterator[Any]:
        tasks, ready = enumerate(items), dict[int, Any]()
        for worker in self._workers * _AHEAD:
            self._give(worker, tasks)
        wanted = 0
        while ready or any(worker.tasks for worker in self._workers):
            deadline = time.monotonic() + timeout if timeout else None
            while wanted not in ready:
                ready |= self._receive(wanted, timeout, deadline)
            value = ready.pop(wanted)
            if isinstance(value, _Failure):
                raise value.error
            self._give(min(self._workers, key=lambda worker: len(worker.tasks)), tasks)
            yield value
            wanted += 1

    @staticmethod
    def _give(worker: _Worker, tasks: Iterator[tuple[int, Any]]) -> None:
        for number, item in islice(tasks, 1):
            worker.give(number, item)

    def _receive(self, wanted: int, timeout: int, deadline: float | None) -> dict[int, Any]:
        busy = {worker.channel.fileno(): worker for worker in self._workers if worker.tasks}
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        heard = [number for number in wait(busy, left) if isinstance(number, int)]
        if not heard:
            raise next(worker for worker in busy.values() if wanted in worker.tasks).hung(timeout)
        return {number: value for each in heard for number, value in busy[each].receive()}

    def close(self) -> None:
        """End the processes."""
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.close()
        self._workers = []


def _serve(load: Callable[[Any], Any], channel: Connection, parent: int) -> None:
    """The loop of a loader process, until it is killed or its parent is gone."""
    global _channel  # noqa: PLW0603 (what reads cases does not know of processes)
    _channel = channel
    ignore_stop_signals()
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            _, item = channel.recv()
        except EOFError:
            return
        try:
            packed = _pack(load(item))
        except Exception as error:
            packed = _pack(_Failure(_sendable(error)))
        _send(channel, *packed)


def _end_with(parent: int) -> None:
    """End this process with the one that it loads for, since others have inherited that end of the channel."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _sendable(error: Exception) -> Exception:
    """An error with its traceback as a note, unless it is medvid's own; as text if it cannot be pickled."""
    if not isinstance(error, MedvidError):
        error.add_note(f"in a loader process:\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (its own pickle)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return error


class _Pickler(pickle.Pickler):
    """Keeps the content of arrays and tensors out of the pickle, to be sent beside it."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.layout is not torch.strided:
            return NotImplemented
        # A single value may have a stride of 0, in which no bytes are seen.
        content = value.detach().contiguous().as_strided((value.numel(),), (1,))
        return _as_tensor, (content.view(torch.uint8).numpy(), value.dtype, value.shape)


def _as_tensor(content: Any, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
    return torch.from_numpy(content).view(dtype).view(shape)


def _pack(value: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle of a value, and the content of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, 5, buffer_callback=buffers.append).dump(value)
    return stream.getvalue(), [buffer.raw() for buffer in buffers]


def _send(channel: Connection, pickled: bytes, contents: Sequence[memoryview]) -> None:
    memory = _in_memory(contents) if contents else None
    channel.send((pickled, [content.nbytes for content in contents], memory is not None))
    if memory is None:
        for content in contents:
            channel.send_bytes(content)
        return
    send_handle(channel, memory, None)
    os.close(memory)


def _in_memory(contents: Sequence[memoryview]) -> int | None:
    """Descriptor of anonymous memory with contents, each aligned; None where that is not available."""
    try:
        memory = os.memfd_create("medvid-batch")
    except (AttributeError, OSError):  # not Linux, or not allowed
        return None
    try:
        for content, start in zip(contents, _starts([content.nbytes for content in contents]), strict=False):
            done = 0
            while done < content.nbytes:
                done += os.pwrite(memory, content[done:], start + done)
    except OSError:  # a limit on the size of files
        os.close(memory)
        return None
    return memory


def _receive(channel: Connection, pickled: bytes, sizes: Sequence[int], in_memory: bool) -> Any:
    if not in_memory:
        return pickle.loads(pickled, buffers=[bytearray(channel.recv_bytes()) for _ in sizes])  # noqa: S301 (our own)
    memory = recv_handle(channel)
    starts = _starts(sizes)
    try:
        content = memoryview(mmap.mmap(memory, starts[-1])) if starts[-1] else memoryview(bytearray())
    finally:
        os.close(memory)
    parts = [content[start : start + size] for start, size in zip(starts, sizes, strict=False)]
    return pickle.loads(pickled, buffers=parts)  # noqa: S301 (as above)


def _starts(sizes: Sequence[int]) -> list[int]:
    """Offsets at which contents of these sizes begin, and the end of the last one."""
    starts, end = [], 0
    for size in sizes:
        starts.append(-(-end // _ALIGNMENT) * _ALIGNMENT if size else end)
        end = starts[-1] + size
    return [*starts, end]
