"""The table of what belongs to the whole process and plugins may change by the way: how to read and to restore it."""

import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

ENVIRONMENT = "environment variables"
_STEERING = (
    "CUBLAS", "CUDA", "CUDNN", "HOME", "KMP_", "LANG", "LC_", "LD_", "LOCAL_RANK", "MASTER_", "MEDVID", "MKL",
    "MLFLOW_", "NCCL", "NVIDIA", "OMP_", "ONEDNN", "PATH", "PYTHON", "PYTORCH", "RANK", "TMPDIR", "TORCH", "TZ",
    "WORLD_SIZE", "XDG_",
)  # fmt: skip
"""How the names of those begin that steer numerics, devices, processes and places. Others, which libraries set for
themselves when they are imported, are left alone."""


class Setting(NamedTuple):
    """One thing that belongs to the process.

    Args:
        name: what messages call it.
        read: gives its value, to be compared.
        write: puts a value back.
        initial: its value when its library has just been imported, None where that cannot be known.
        told: whether a change is told; that random numbers were drawn is nobody's fault.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    initial: Any = None
    told: bool = True


def settings() -> Iterator[Setting]:
    """All that can be looked after now. Those of a library are there once it was imported."""
    yield Setting("the log", partial(_read_logging, _loggers()), _write_logging)
    yield Setting("the working directory", os.getcwd, os.chdir)
    yield Setting(ENVIRONMENT, _steering_variables, _write_variables)
    yield _warning_filters()
    yield Setting("Python's random numbers", random.getstate, random.setstate, told=False)
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        yield from map(_handler, (signal.SIGINT, signal.SIGTERM))
    if (numpy := sys.modules.get("numpy")) and hasattr(numpy, "random"):
        yield Setting("numpy's random numbers", numpy.random.get_state, numpy.random.set_state, told=False)
    if (torch := sys.modules.get("torch")) and hasattr(torch, "set_rng_state"):
        yield from _of_torch(torch)


def _of_torch(torch: Any) -> Iterator[Setting]:
    cudnn = torch.backends.cudnn
    yield Setting(
        "torch's default device", torch.get_default_device, partial(_write_device, torch), torch.device("cpu")
    )
    yield Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32)
    yield Setting("torch's random numbers", torch.get_rng_state, torch.set_rng_state, told=False)
    if torch.cuda.is_initialized():
        states = torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all
        yield Setting("the GPUs' random numbers", *states, told=False)
    yield Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, True)
    modes = torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
    yield Setting("torch's deterministic mode", *modes, 0)
    precisions = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    yield Setting("torch's precision of float32", *precisions, "highest")
    yield _attribute("oneDNN", torch.backends.mkldnn, "enabled", True)
    yield _attribute("cuDNN", cudnn, "enabled", True)
    yield _attribute("cuDNN's benchmark mode", cudnn, "benchmark", False)
    yield _attribute("cuDNN's deterministic mode", cudnn, "deterministic", False)


def _attribute(name: str, owner: Any, attribute: str, initial: Any) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value), initial)


def _loggers() -> list[logging.Logger]:
    """The root, and those of medvid and its plugins."""
    known = list(logging.root.manager.loggerDict.items())  # at once: an import in another thread makes new ones
    own = [logger for name, logger in known if name.startswith("medvid") and isinstance(logger, logging.Logger)]
    return [logging.root, *own]


def _read_logging(loggers: list[logging.Logger]) -> Any:
    return logging.root.manager.disable, [
        (logger, logger.level, logger.disabled, logger.propagate, list(logger.filters),
         [(handler, handler.level, list(handler.filters), handler.formatter) for handler in logger.handlers])
        for logger in loggers
    ]  # fmt: skip


def _write_logging(state: Any) -> None:
    disable, loggers = state
    logging.disable(disable)
    for logger, level, disabled, propagate, filters, handlers in loggers:
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate
        logger.filters[:], logger.handlers[:] = filters, [handler for handler, *_ in handlers]
        for handler, handler_level, handler_filters, formatter in handlers:
            handler.setLevel(handler_level)
            handler.filters[:], handler.formatter = handler_filters, formatter


def _steering_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_STEERING)}


def _write_variables(before: dict[str, str]) -> None:
    for name in _steering_variables().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _warning_filters() -> Setting:
    """The filters of warnings, less those that libraries have added for their own messages since."""
    before = list(warnings.filters)

    def read() -> list[Any]:
        return [item for item in warnings.filters if item in before or not _is_narrow(item)]

    def write(filters: list[Any]) -> None:
        added = [item for item in warnings.filters if item not in before and _is_narrow(item)]
        warnings.resetwarnings()  # makes Python look at the filters anew
        warnings.filters.extend(added + filters)  # type: ignore[attr-defined] # typeshed: of a fixed length

    return Setting("the warning filters", read, write)


def _is_narrow(warning_filter: Any) -> bool:
    """Whether a filter concerns some messages or modules only, or a category that is not Python's own."""
    _, message, category, module, _ = warning_filter
    return message is not None or module is not None or category.__module__ != "builtins"


def _handler(number: signal.Signals) -> Setting:
    """A handler. Where it has become the default it is left: the first signal that asks a run to stop sets that."""
    before = signal.getsignal(number)

    def read() -> Any:
        now = signal.getsignal(number)
        return before if now is signal.SIG_DFL else now

    return Setting(f"the handler of {number.name}", read, lambda handler: signal.signal(number, handler))


def _write_device(torch: Any, device: Any) -> None:
    torch.set_default_device(None)  # which is not the same as the CPU: that would cost time in every operation
    if torch.get_default_device() != device:
        torch.set_default_device(device)
