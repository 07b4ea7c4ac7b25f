"""Applying one function to many files in separate processes, a few at a time."""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from medvid.errors import ResourceError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Items per process that are handed out at once, so that no process waits and little is lost at an early end."""


def map_in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    here: float = 0.0,
    seconds: float | None = None,
    setup: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to items; results come in the order in which they are done.

    Args:
        function: can be pickled, like its items and results.
        items: the items.
        workers: processes; 1: all in this one.
        here: seconds for which items are done in this process before others are started, which takes longer; the
            first item, which has to import modules, is not counted. 0: nothing is done here.
        seconds: time after which no further item is awaited, also without the first item; None: no limit.
        setup: called in each process first.

    Yields:
        Each item with its result.

    Raises:
        ResourceError: a process died; the error names the items in progress.
    """
    remaining = iter(items)
    if workers == 1 or here:
        for item in islice(remaining, 1):
            yield item, function(item)
    began = time.monotonic()
    end = math.inf if seconds is None else began + seconds
    until = end if workers == 1 else min(end, began + here)
    while time.monotonic() < until:
        for item in islice(remaining, 1):
            yield item, function(item)
            break
        else:
            return
    if workers == 1:
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), setup)
    running: dict[Future[Result], Item] = {}
    try:
        while (left := end - time.monotonic()) > 0:
            for item in islice(remaining, workers * _AHEAD - len(running)):
                running[pool.submit(function, item)] = item
            if not running:
                return
            done, _ = wait(running, None if seconds is None else left, FIRST_COMPLETED)
            for future in done:
                yield running[future], future.result()
                del running[future]
        _kill(pool)
    except BrokenProcessPool:
        names = ", ".join(str(item) for item in list(running.values())[: workers * _AHEAD])
        raise ResourceError(
            f"a process died (out of memory, or a crash of the decoder) while it worked on one of: {names}",
            hint="run again; with --workers 1 the last name is the file at fault",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes, even if they hang in a library."""
    for process in list(pool._processes.values()):
        process.kill()
