"""Puts back what a plugin's code changes for the whole process: random numbers, numerics, folder, signals, warnings.

So a run has the same bits with and without a plugin that has no part in it. What is put back is told, by the plugin's
name. It keeps order among well-meaning plugins and is no sandbox: threads, files and other settings stay theirs.
"""

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

Report = Callable[[str], None]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE")

_WORDS = 624
"""The Mersenne twister of Python and numpy makes its numbers in blocks of so many words."""
_BLOCKS = 16
"""A generator that is further away than so many blocks is taken to have been set anew."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """One thing that belongs to the process.

    Args:
        name: what messages call it.
        read: gives its value, to be compared; None where there is none that could be put back.
        write: puts a value back.
        excused: whether the change from one value to another is no fault, and not told.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    excused: Callable[[Any, Any], bool] = lambda _before, _now: False


@contextmanager
def guarded(report: Report) -> Iterator[None]:
    """Within the block, a plugin's code runs; afterwards the process is as it was.

    Settings of numpy and torch are looked after only where those were imported before.

    Args:
        report: is told what was put back, if anything: ``"the working directory, torch's default dtype"``.
    """
    before = [(setting, setting.read()) for setting in _settings()]
    filters = list(warnings.filters)
    try:
        yield
    finally:
        changed = [setting.name for setting, value in before if _put_back(setting, value)]
        if _put_filters_back(filters):
            changed.append("the warning filters")
        if changed:
            report(", ".join(changed))


@contextmanager
def guarded_import(report: Report) -> Iterator[None]:
    """As `guarded`; besides, what is printed goes to standard error, as standard output is for scripts to read."""
    aside = _Aside()
    with guarded(lambda changed: report(f"changed {changed} on import; this is put back")), redirect_stdout(aside):
        try:
            yield
        finally:
            if aside.used:
                report("printed on import; this is shown on standard error")


@dataclass(slots=True)
class _Aside:
    """A stream that leads to standard error, whatever that is then; a handler may keep it."""

    used: bool = field(default=False)

    def write(self, text: str) -> int:
        self.used = True
        return sys.stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _settings() -> Iterator[_Setting]:
    yield _Setting("the working directory", _working_directory, os.chdir)
    yield _Setting("Python's random numbers", random.getstate, random.setstate, _python_drawn)
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        for name in _SIGNALS:
            if number := getattr(signal, name, None):
                yield _signal_handler(number)
    if (numpy := sys.modules.get("numpy")) and hasattr(numpy, "random"):
        yield _numpy_random(numpy)
    if (torch := sys.modules.get("torch")) and hasattr(torch, "set_rng_state"):
        yield from _torch_settings(torch)


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (plain text, as os.chdir wants it)
    except FileNotFoundError:
        return None


def _signal_handler(number: signal.Signals) -> _Setting:
    """A handler. A default that comes is left: the first signal that asks a run to stop sets it, for a second one."""

    def write(handler: Any) -> None:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, handler)

    read = partial(signal.getsignal, number)
    return _Setting(f"the handler of {number.name}", read, write, lambda _, now: now is signal.SIG_DFL)


def _python_drawn(before: Any, now: Any) -> bool:
    """Whether random numbers were drawn, as libraries do when imported, and the generator was not set anew."""

    def blocks() -> Iterator[Any]:
        twin = random.Random()  # noqa: S311 (no secret)
        twin.setstate(before)
        while True:
            yield twin.getstate()[1][:-1]
            twin.getrandbits(32 * _WORDS)

    return now[1][:-1] in islice(blocks(), _BLOCKS)


def _numpy_random(numpy: Any) -> _Setting:
    def read(generator: Any = numpy.random) -> tuple[Any, ...]:
        kind, keys, *rest = generator.get_state()
        return kind, keys.tobytes(), *rest

    def write(state: tuple[Any, ...], generator: Any = numpy.random) -> None:
        kind, keys, *rest = state
        generator.set_state((kind, numpy.frombuffer(keys, numpy.uint32), *rest))

    def blocks(state: tuple[Any, ...]) -> Iterator[bytes]:
        twin = numpy.random.RandomState()
        write(state, twin)
        while True:
            yield read(twin)[1]
            twin.bytes(4 * _WORDS)

    return _Setting(
        "numpy's random numbers", read, write, lambda before, now: now[1] in islice(blocks(before), _BLOCKS)
    )


def _torch_settings(torch: Any) -> Iterator[_Setting]:
    def random_numbers(name: str, get: Callable[[], Any], put: Callable[[Any], object]) -> _Setting:
        def read() -> bytes:
            return bytes(get().numpy().tobytes())

        def write(state: bytes) -> None:
            put(torch.frombuffer(bytearray(state), dtype=torch.uint8))

        return _Setting(name, read, write, lambda before, now: before[:8] == now[:8])  # which are the seed

    yield random_numbers("torch's random numbers", torch.get_rng_state, torch.set_rng_state)
    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            get, put = partial(torch.cuda.get_rng_state, device), partial(torch.cuda.set_rng_state, device=device)
            yield random_numbers(f"the random numbers of GPU {device}", get, put)
    yield _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
    deterministic = torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    yield _Setting("torch's deterministic mode", *deterministic)
    cudnn = torch.backends.cudnn
    yield _Setting("cuDNN's benchmark mode", lambda: cudnn.benchmark, lambda value: setattr(cudnn, "benchmark", value))


def _put_back(setting: _Setting, value: Any) -> bool:
    """Restore a setting if it has changed; tells whether it had, by a fault."""
    now = setting.read()
    if now == value or value is None:
        return False
    with suppress(OSError):  # the folder is gone, which a plugin may not be able to help either
        setting.write(value)
    return not setting.excused(value, now)


def _put_filters_back(filters: list[Any]) -> bool:
    """Restore the warning filters, but leave what libraries have added for their own messages when imported."""
    now = list(warnings.filters)
    added = [item for item in now if item not in filters]
    narrow = [item for item in added if _is_narrow(item)]
    if narrow == added and all(item in now for item in filters):
        return False
    wanted = narrow + filters
    warnings.resetwarnings()  # makes Python look at the filters anew
    warnings.filters.extend(wanted)  # type: ignore[attr-defined] # typeshed has it as a sequence that cannot grow
    return True


def _is_narrow(warning_filter: Any) -> bool:
    """Whether a filter concerns some messages or modules only, or a category that is not Python's own."""
    _, message, category, module, _ = warning_filter
    return message is not None or module is not None or category.__module__ != "builtins"
