"""Distinguishing a machine that ran out of something from a fault of the program."""

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
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "start new thread",
    "failed to map segment",
)
"""Messages of libraries without their own exception type for it: torch's CPU allocator, cuBLAS, cuDNN."""


@contextmanager
def scarcity_named() -> Iterator[None]:
    """Within the block, running out of memory, disk space or open files becomes a distinct error.

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
    """The distinct error, if an error means that memory ran out or that the disk failed; else None."""
    text = (str(error) or "no details").splitlines()[0]
    if is_of_memory(error):
        return ResourceError(
            f"out of memory: {text}",
            hint="try a smaller train.batch_size with train.accumulate, a smaller patch or size, train.precision=bf16, "
            "a smaller evaluation.window_batch, or train.workers=0; checkpoints are intact",
        )
    if isinstance(error, OSError) and (reason := disk_reason(error)):
        where = error.filename or "a file"
        return ResourceError(f"{where}: {reason}", hint="free space, change the permissions, or choose another folder")
    return None


def is_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on this machine or on a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError | ImportError) and any(text in str(error) for text in _MEMORY_TEXTS)
