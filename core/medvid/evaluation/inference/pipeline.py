"""A pipeline of three steps, so that the device does not wait for what the host can do before and after."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Inferred = TypeVar("Inferred")
Result = TypeVar("Result")


def pipeline(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    infer: Callable[[Loaded], Inferred],
    finish: Callable[[Inferred], Result],
) -> Generator[Result, None, None]:
    """What the three steps make of each item, in order.

    While this thread infers an item, one thread loads the next and another one finishes the one before. So two loaded
    items are in memory at once, and at most one that is inferred waits. Nothing is finished while the caller works on
    a result. An error is raised in the turn of its item, after the results of those before it; whatever ends the
    generator, both threads have stopped by then.

    Args:
        items: drawn by this thread, one ahead; an error of theirs is raised when they are drawn.
        load: called in a thread.
        infer: called in the caller's thread.
        finish: called in another thread.
    """
    with _thread() as loading, _thread() as finishing:
        behind: Future[Result] | None = None
        for loaded in _one_ahead(loading, load, items):
            inferred = _attempt(infer, loaded)
            if behind:
                yield behind.result()
            behind = finishing.submit(finish, inferred.result())
        if behind:
            yield behind.result()


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _one_ahead(
    thread: ThreadPoolExecutor, load: Callable[[Item], Loaded], items: Iterable[Item]
) -> Iterator[Future[Loaded]]:
    """Each item as it is being loaded, once the loading of the next has been asked for."""
    ahead: Future[Loaded] | None = None
    for item in items:
        current, ahead = ahead, thread.submit(load, item)
        if current:
            yield current
            del current  # nothing may keep it from being freed while the next one is loaded
    if ahead:
        yield ahead


def _attempt(infer: Callable[[Loaded], Inferred], loaded: Future[Loaded]) -> Future[Inferred]:
    """What was inferred, or the error of loading or inferring, to be raised where it is asked for."""
    attempt: Future[Inferred] = Future()
    try:
        attempt.set_result(infer(loaded.result()))
    except Exception as error:
        attempt.set_exception(error)
    return attempt
