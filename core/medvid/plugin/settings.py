"""The table of what belongs to the whole process, and plugins may change by the way: how to read it, and put it back.

Settings of a library are there once it was imported; nothing is imported for them.
"""

import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

ENVIRONMENT = "environment variables"


class Setting(NamedTuple):
    """One thing that belongs to the process.

    Args:
        name: what messages call it.
        read: gives its value, to be compared.
        write: puts a value back.
        told: whether a change is told; that random numbers were drawn is nobody's fault.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    told: bool = True


def settings() -> Iterator[Setting]:
    """All that can be looked after now, what others depend on first."""
    yield Setting("the log", partial(_read_logging, _loggers()), _write_logging)
    yield Setting("the working directory", _working_directory, _change_directory)
    yield Setting(ENVIRONMENT, _steering_variables, _write_variables)
    yield Setting("the module path", lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value))
    yield Setting("the umask", _umask, os.umask)
    yield Setting("the locale", partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL))
    yield Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Setting("garbage collection", gc.isenabled, lambda value: gc.enable() if value else gc.disable())
    yield Setting("the start method of processes", _start_method, _write_start_method)
    yield Setting("Python's random numbers", random.getstate, random.setstate, told=False)
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        yield from map(_handler, _SIGNALS)
    if (numpy := sys.modules.get("numpy")) and hasattr(numpy, "random"):
        yield from _of_numpy(numpy)
    if (matplotlib := sys.modules.get("matplotlib")) and hasattr(matplotlib, "rcParams"):
        rc = matplotlib.rcParams  # as a plain dict, since the backend would be chosen when it is read
        yield Setting("matplotlib's settings", lambda: dict(dict.items(rc)), lambda value: dict.update(rc, value))
    if (torch := sys.modules.get("torch")) and hasattr(torch, "set_rng_state"):
        yield from _of_torch(torch)


def _attribute(name: str, owner: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value))


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


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (plain text, as os.chdir wants it)
    except FileNotFoundError:
        return None


def _change_directory(path: str | None) -> None:
    if path is not None:
        os.chdir(path)


_STEERING = (
    "CUBLAS", "CUDA", "CUDNN", "GOMP_", "HOME", "KMP_", "LANG", "LC_", "LD_", "LOCAL_RANK", "MASTER_", "MEDVID", "MKL",
    "MLFLOW_", "NCCL", "NUMEXPR", "NVIDIA", "OMP_", "ONEDNN", "OPENBLAS", "PATH", "PYTHON", "PYTORCH", "RANK", "TMPDIR",
    "TORCH", "TZ", "WORLD_SIZE", "XDG_",
)  # fmt: skip
"""How the names of those begin that steer numerics, devices, processes, languages and places. Others, which libraries
set for themselves when they are imported, are left alone."""


def _steering_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_STEERING)}


def _write_variables(before: dict[str, str]) -> None:
    for name in _steering_variables().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _umask() -> int:
    mask = os.umask(0o077)  # it can be read only by setting it: for this moment, to the careful side
    os.umask(mask)
    return mask


def _start_method() -> str | None:
    return multiprocessing.get_start_method(allow_none=True)


def _write_start_method(value: str | None) -> None:
    multiprocessing.set_start_method(value, force=True)


_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE")
    if hasattr(signal, name)
)


def _handler(number: signal.Signals) -> Setting:
    """A handler. Where it has become the default it is left: the first signal that asks a run to stop sets that."""
    before = signal.getsignal(number)

    def read() -> Any:
        now = signal.getsignal(number)
        return before if now is signal.SIG_DFL else now

    return Setting(f"the handler of {number.name}", read, lambda handler: signal.signal(number, handler))


def _of_numpy(numpy: Any) -> Iterator[Setting]:
    def read() -> tuple[Any, ...]:
        kind, keys, *rest = numpy.random.get_state()
        return kind, keys.tobytes(), *rest

    def write(state: tuple[Any, ...]) -> None:
        kind, keys, *rest = state
        numpy.random.set_state((kind, numpy.frombuffer(keys, numpy.uint32), *rest))

    yield Setting("numpy's random numbers", read, write, told=False)
    yield Setting("numpy's treatment of errors", numpy.geterr, lambda value: numpy.seterr(**value))
    options = numpy.get_printoptions, lambda value: numpy.set_printoptions(**value)
    yield Setting("numpy's print options", *options)


def _of_torch(torch: Any) -> Iterator[Setting]:
    yield Setting("torch's default device", torch.get_default_device, partial(_write_device, torch))
    yield Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield from _random_numbers(torch)
    yield Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
    yield Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly)
    deterministic = torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
    yield Setting("torch's deterministic mode", *deterministic)
    yield Setting("torch's flushing of denormal numbers", _flushes_denormals, torch.set_flush_denormal)
    for device in ("cpu", "cuda"):
        read, write = partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)
        yield Setting(f"torch's autocast on {device}", read, write)
        read, write = partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
        yield Setting(f"torch's autocast dtype on {device}", read, write)
    for kind in ("flash", "mem_efficient", "math", "cudnn"):
        attention = (
            getattr(torch.backends.cuda, f"{kind}_sdp_enabled"),
            getattr(torch.backends.cuda, f"enable_{kind}_sdp"),
        )
        yield Setting(f"torch's {kind} attention", *attention)
    sharing = torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy
    yield Setting("torch's sharing strategy", *sharing)
    yield from _backends(torch.backends)
    for name, hooks in vars(torch.nn.modules.module).items():
        if name.startswith("_global_") and isinstance(hooks, dict):
            yield Setting("torch's hooks on all modules", hooks.copy, partial(_write_dict, hooks))


def _backends(backends: Any) -> Iterator[Setting]:
    cudnn, mkldnn, matmul = backends.cudnn, backends.mkldnn, backends.cuda.matmul
    yield _attribute("oneDNN", mkldnn, "enabled")
    yield _attribute("oneDNN's deterministic mode", mkldnn, "deterministic")
    yield _attribute("cuDNN", cudnn, "enabled")
    yield _attribute("cuDNN's benchmark mode", cudnn, "benchmark")
    yield _attribute("cuDNN's deterministic mode", cudnn, "deterministic")
    yield _attribute("torch's order of einsum", backends.opt_einsum, "enabled")
    for kind in ("fp16", "bf16"):
        yield _attribute(f"torch's {kind} products", matmul, f"allow_{kind}_reduced_precision_reduction")
    owners = (backends, cudnn, cudnn.conv, cudnn.rnn, matmul, mkldnn, mkldnn.conv, mkldnn.rnn, mkldnn.matmul)
    for owner in owners:  # those that others follow come first
        yield _attribute("torch's precision of float32", owner, "fp32_precision")


def _random_numbers(torch: Any) -> Iterator[Setting]:
    def setting(name: str, get: Callable[[], Any], put: Callable[[Any], object]) -> Setting:
        def read() -> bytes:
            return bytes(get().numpy().tobytes())

        def write(state: bytes) -> None:
            put(torch.frombuffer(bytearray(state), dtype=torch.uint8))

        return Setting(name, read, write, told=False)

    yield setting("torch's random numbers", torch.get_rng_state, torch.set_rng_state)
    for device in range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ():
        get, put = partial(torch.cuda.get_rng_state, device), partial(torch.cuda.set_rng_state, device=device)
        yield setting(f"the random numbers of GPU {device}", get, put)


def _write_device(torch: Any, device: Any) -> None:
    torch.set_default_device(None)  # which is not the same as the CPU: that would cost time in every operation
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _flushes_denormals(smallest: float = 5e-324, one: float = 1.0) -> bool:
    return smallest * one == 0  # by Python's own arithmetic, which obeys the same switch of the processor


def _write_dict(target: dict[Any, Any], value: dict[Any, Any]) -> None:
    target.clear()
    target.update(value)
