import logging
import logging.config
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from medvid.plugin.guard import guarded, guarded_import
from medvid.plugin.settings import settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """What a guard fails to put back must not reach other tests."""
    before = [(setting, setting.read()) for setting in settings()]
    with warnings.catch_warnings():
        yield
    for setting, value in before:
        setting.write(value)


class State:
    """All settings as they are now."""

    def __init__(self) -> None:
        self.settings = [(setting, setting.read()) for setting in settings()]

    def changed(self) -> set[str]:
        """Names of those that are not as they were."""
        return {
            setting.name for setting, before in self.settings if not same(setting.read(), before, exactly=setting.told)
        }


def same(one: object, other: object, *, exactly: bool) -> bool:
    """Whether two values are equal; states of random numbers, which hold arrays, by their bytes."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other if exactly else pickle.dumps(one) == pickle.dumps(other)


SLOW = "torch's deterministic mode"  # torch imports its compiler to change it, and that changes more
LEAKS: dict[str, Callable[[], object]] = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    SLOW: lambda: torch.use_deterministic_algorithms(True),
    "torch's precision of float32": lambda: torch.set_float32_matmul_precision("medium"),
    "oneDNN": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "cuDNN": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "cuDNN's benchmark mode": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cuDNN's deterministic mode": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "the working directory": lambda: os.chdir("/"),
    "environment variables": lambda: os.environ.update(OMP_NUM_THREADS="1", MLFLOW_TRACKING_URI="elsewhere"),
    "the handler of SIGTERM": lambda: signal.signal(signal.SIGTERM, lambda *_: None),
    "the handler of SIGINT": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "the warning filters": lambda: warnings.simplefilter("ignore"),
}
SILENCERS: dict[str, Callable[[], object]] = {
    "all logging off": lambda: logging.disable(logging.CRITICAL),
    "a new configuration": lambda: logging.config.dictConfig({"version": 1}),
    "no handlers": logging.getLogger("medvid").handlers.clear,
    "a level": lambda: logging.getLogger("medvid").setLevel(60),
    "a logger off": lambda: setattr(logging.getLogger("medvid.console"), "disabled", True),
    "a filter": lambda: logging.getLogger("medvid").addFilter(lambda _: False),
    "the level of a handler": lambda: logging.getLogger("medvid").handlers[-1].setLevel(60),
    "the root": lambda: logging.basicConfig(level=60, force=True),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_put_back_and_told(name: str) -> None:
    before, told = State(), []
    with guarded(told.append):
        LEAKS[name]()
        assert before.changed() >= {name}
    assert before.changed() == set()
    assert name in told[0].split(", ") if name == SLOW else told == [name]


@pytest.mark.parametrize("how", SILENCERS)
def test_the_log_cannot_be_silenced(how: str, tmp_path: Path) -> None:
    logger, file = logging.getLogger("medvid"), tmp_path / "run.log"
    others = logging.getLogger("medvid.console"), logging.getLogger("medvid_btcv.synapse")
    handler = logging.FileHandler(file)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with guarded(lambda changed: logger.warning("%s", changed)):
            SILENCERS[how]()
        logging.getLogger("medvid.console").debug("later")
        assert not any(other.disabled for other in others)
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert file.read_text() == "the log\nlater\n"


@pytest.mark.parametrize("seed", [lambda: random.seed(3), lambda: np.random.seed(3), lambda: torch.manual_seed(3)])
def test_random_numbers_are_put_back_without_a_word(seed: Callable[[], object]) -> None:
    before, told = State(), []
    with guarded(told.append):
        seed()
        random.random(), np.random.rand(), torch.rand(2)
    assert before.changed() == set()
    assert told == []


def test_a_default_device_leaves_no_trace() -> None:
    told: list[str] = []
    with guarded(told.append):
        torch.set_default_device("meta")
    assert torch.zeros(1).device.type == "cpu"
    assert not torch.overrides._get_current_function_mode_stack()


def test_a_setting_that_cannot_be_put_back_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    told: list[str] = []
    with guarded(told.append):
        os.chdir(tmp_path)
        (tmp_path / "gone").rmdir()
        torch.set_default_dtype(torch.float64)
    assert torch.get_default_dtype() == torch.float32
    assert told[0].startswith("the working directory (which cannot be restored: ")


def test_all_leaks_are_put_back_whatever_the_plugin_raises() -> None:
    before, told = State(), []

    def plugin() -> None:
        for leak in LEAKS.values():
            leak()
        sys.exit(3)

    with pytest.raises(SystemExit), guarded(told.append):
        plugin()
    assert before.changed() == set()
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


def test_in_another_thread_signals_are_left_alone() -> None:
    told: list[str] = []

    def call() -> None:
        with guarded(told.append):
            os.chdir("/")

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
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


def test_loggers_that_another_thread_makes_do_not_disturb() -> None:
    done = threading.Event()

    def make_loggers() -> None:
        number = 0
        while not done.is_set():
            logging.getLogger(f"made-{(number := number + 1)}")
            logging.root.manager.loggerDict.pop(f"made-{number - 50}", None)

    thread = threading.Thread(target=make_loggers)
    thread.start()
    try:
        for _ in range(3000):
            next(settings())
    finally:
        done.set()
        thread.join()
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("made-")]:
        del logging.root.manager.loggerDict[name]
