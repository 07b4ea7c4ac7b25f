import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvid.plugin.guard import guarded, guarded_import


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """What a guard fails to put back must not reach other tests."""
    folder, handler, threads, dtype = (
        Path.cwd(),
        signal.getsignal(signal.SIGTERM),
        torch.get_num_threads(),
        torch.float32,
    )
    with warnings.catch_warnings():
        yield
    os.chdir(folder)
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


def state() -> tuple[Any, ...]:
    return (
        random.getstate(),
        np.random.get_state()[1].tobytes(),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        Path.cwd(),
        signal.getsignal(signal.SIGTERM),
        signal.getsignal(signal.SIGUSR1),
        list(warnings.filters),
    )


LEAKS: dict[str, Callable[[], object]] = {
    "Python's random numbers": lambda: random.seed(3),
    "numpy's random numbers": lambda: np.random.seed(3),
    "torch's random numbers": lambda: torch.manual_seed(3),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's deterministic mode": lambda: torch.use_deterministic_algorithms(True),
    "cuDNN's benchmark mode": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "the working directory": lambda: os.chdir("/"),
    "the handler of SIGTERM": lambda: signal.signal(signal.SIGTERM, lambda *_: None),
    "the handler of SIGUSR1": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "the warning filters": lambda: warnings.simplefilter("ignore"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_put_back_and_told(name: str) -> None:
    before, told = state(), []
    with guarded(told.append):
        LEAKS[name]()
        assert state() != before
    assert state() == before
    assert told == [name]


def test_all_leaks_are_put_back_whatever_the_plugin_raises() -> None:
    before, told = state(), []

    def plugin() -> None:
        for leak in LEAKS.values():
            leak()
        sys.exit(3)

    with pytest.raises(SystemExit), guarded(told.append):
        plugin()
    assert state() == before
    assert set(told[0].split(", ")) == set(LEAKS)


def test_a_well_behaved_plugin_is_not_mentioned() -> None:
    told: list[str] = []
    filters = list(warnings.filters)
    with guarded_import(told.append):
        torch.rand(2, generator=torch.Generator())
        random.Random(3).random()
    assert told == []
    assert warnings.filters == filters


def test_what_a_library_says_of_its_own_warnings_stays(recwarn: pytest.WarningsRecorder) -> None:
    told: list[str] = []
    with guarded(told.append):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("ignore", message="numpy.dtype size changed")
    assert told == ["the warning filters"]
    warnings.warn("numpy.dtype size changed", UserWarning, stacklevel=1)
    assert len(recwarn) == 0
    with pytest.warns(UserWarning, match="another"):
        warnings.warn("another", UserWarning, stacklevel=1)


def test_a_signal_that_asks_the_run_to_stop_meanwhile_is_not_undone() -> None:
    told: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    with guarded(told.append):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert told == []


@pytest.mark.parametrize("draws", [1, 5, 700])
def test_random_numbers_that_are_merely_drawn_are_put_back_without_a_word(draws: int) -> None:
    told: list[str] = []
    for seed in (None, 3):
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
        before = state()
        with guarded(told.append):
            for _ in range(draws):
                random.getrandbits(32)
                np.random.bytes(4)
                torch.rand(2)
        assert state() == before
    assert told == []


def test_in_another_thread_signals_are_left_alone() -> None:
    told: list[str] = []

    def call() -> None:
        with guarded(told.append):
            os.chdir("/")

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert told == ["the working directory"]


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    told: list[str] = []
    with guarded(told.append):
        os.chdir(tmp_path)
        (tmp_path / "gone").rmdir()
    with guarded(told.append):
        pass
    assert told == ["the working directory"]


def test_what_an_import_prints_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    with guarded_import(told.append):
        print("hello")
        kept = sys.stdout
        sys.stdout.flush()
    print("later", file=kept)  # as a log handler does that the plugin has made
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\nlater\n")
    assert told == ["printed on import; this is shown on standard error"]
