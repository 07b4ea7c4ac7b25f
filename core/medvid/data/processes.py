"""Doing the same with many files in processes of their own, few at a time."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from medvid.errors import ResourceError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Items per process that are handed out at once, so that none waits and little is lost at an end."""


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to items, in the order in which they get done.

    Args:
        function: can be pickled, as its items and results can.
        items: the items.
        workers: processes; 1: all in this one.

    Yields:
        Each item with its result.

    Raises:
        ResourceError: a process died, naming the items that were being worked on.
    """
    if workers == 1:
        for item in items:
            yield item, function(item)
        return
    remaining = iter(items)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    running: dict[Future[Result], Item] = {}
    try:
        while True:
            for item in islice(remaining, workers * _AHEAD - len(running)):
                running[pool.submit(function, item)] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running[future], future.result()
                del running[future]
    except BrokenProcessPool:
        names = ", ".join(str(item) for item in list(running.values())[: workers * _AHEAD])
        raise ResourceError(
            f"a process died, out of memory or by a fault of the decoder, while it worked on one of: {names}",
            hint="run again; with --workers 1 the one that is to blame is the last that is named",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
