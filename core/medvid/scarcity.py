"""Telling that the machine ran out of something from a fault of the program. Imports nothing heavy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from medvid.errors import ResourceError
from medvid.files import disk_reason

_MEMORY_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
    "start new thread",
    "failed to map segment",
)
"""How libraries say it whose exceptions are of no kind of their own, as torch's allocator for the CPU."""


@contextmanager
def scarcity_named() -> Iterator[None]:
    """Within the block, it is an error of its own that memory, disk or files that may be open ran out.

    Raises:
        ResourceError: naming what ran out, and what to do.
    """
    try:
        yield
    except Exception as error:
        if scarce := as_resource_error(error):
            raise scarce from error
        raise


def as_resource_error(error: BaseException) -> ResourceError | None:
    """The error as what it means, if it means that memory ran out or that a disk refused something; else None."""
    text = (str(error) or "no details").splitlines()[0]
    if _is_of_memory(error):
        return ResourceError(
            f"out of memory: {text}",
            hint="try a smaller train.batch_size with train.accumulate, a smaller patch or size, train.precision=bf16, "
            "a smaller evaluation.window_batch, or train.workers=0; checkpoints are intact",
        )
    if isinstance(error, OSError) and (reason := disk_reason(error)):
        where = error.filename or "a file"
        return ResourceError(f"{where}: {reason}", hint="make room or see to the permissions, or choose another folder")
    return None


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError | ImportError) and any(text in str(error) for text in _MEMORY_TEXTS)
