import faulthandler
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medvid.data.loading.workers import load_ahead, reading
from medvid.errors import DataError, ResourceError

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
DTYPES = st.sampled_from(["float32", "float16", "uint8", "int64", "bool", "complex64"])
VALUES = st.lists(
    st.one_of(
        arrays.arrays(DTYPES, SHAPES),
        arrays.arrays(DTYPES, SHAPES).map(torch.from_numpy),
        arrays.arrays("float32", SHAPES).map(lambda array: torch.from_numpy(array).bfloat16()),
        st.text(),
    ),
    max_size=6,
)


def same(value: object) -> object:
    return value


def memory(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)


def equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        bits = (memory(one), memory(other))
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other


@pytest.mark.parametrize("anonymous", [True, False])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, max_size=7))
def test_values_arrive_in_order_and_bit_by_bit(values: list, anonymous: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not anonymous:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    found = list(load_ahead(same, values, workers=2))
    assert len(found) == len(values)
    assert all(len(a) == len(b) and all(map(equal, a, b)) for a, b in zip(found, values, strict=True))


def test_values_can_be_changed_where_they_arrive() -> None:
    (tensor,) = load_ahead(same, [torch.zeros(1000)], workers=1)
    tensor += 1
    assert tensor.sum() == 1000


def divide(number: int) -> float:
    return 1 / number


def test_an_error_is_raised_in_its_turn_and_says_where_it_was() -> None:
    values = load_ahead(divide, [2, 4, 0, 1], workers=2)
    assert [next(values), next(values)] == [0.5, 0.25]
    with pytest.raises(ZeroDivisionError) as raised:
        next(values)
    assert "in divide" in raised.value.__notes__[0]
    assert not multiprocessing.active_children()


def read_slowly(number: int) -> torch.Tensor:
    reading(f"p{number}")
    time.sleep(0.005)
    return torch.full((300_000,), number)


def test_killing_a_process_at_any_time_is_told_as_what_it_is() -> None:
    chance = random.Random(0)
    for _ in range(20):
        values = load_ahead(read_slowly, range(12), workers=2)
        for number in range(3):
            assert (next(values) == number).all()
        time.sleep(chance.random() / 50)
        os.kill(chance.choice(multiprocessing.active_children()).pid, signal.SIGKILL)
        with pytest.raises(ResourceError, match=r"^a loader worker died while it read .*: killed by SIGKILL$") as told:
            list(values)
        assert "memory" in told.value.hint
        assert not multiprocessing.active_children()


def crash(number: int) -> int:
    reading(f"p{number}")
    faulthandler.disable()  # which would tell all of it
    os.kill(os.getpid(), signal.SIGSEGV)
    return number


def test_a_crash_names_the_case_and_the_signal() -> None:
    with pytest.raises(ResourceError, match=r"^a loader worker died while it read case p7: killed by SIGSEGV$"):
        list(load_ahead(crash, [7], workers=1))


def test_a_process_that_hangs_is_named_though_others_are_not_done() -> None:
    with pytest.raises(DataError, match=r"^a case was not read within 1 s$"):
        list(load_ahead(time.sleep, [0, 600, 600], workers=2, timeout=1))
    assert not multiprocessing.active_children()


def run(code: str, *prefix: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*prefix, sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=90
    )


LARGE = """
import torch
from medvid.data.loading.workers import load_ahead
print([float(value.mean()) for value in load_ahead(torch.ones, [(9 << 20,)] * 6, workers=2)])
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_batches_larger_than_the_shared_memory_of_a_container_arrive() -> None:
    small = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    if subprocess.run(["unshare", "-Urm", "sh", "-c", small, "-", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for users here")
    done = run(LARGE, "unshare", "-Urm", "sh", "-c", small, "-")
    assert (done.returncode, done.stdout) == (0, f"{[1.0] * 6}\n"), done.stderr


LEFT_OPEN = """
import time
from medvid.data.loading.workers import load_ahead
values = load_ahead(time.sleep, [0, 600], workers=2)
next(values)
"""


def test_the_program_ends_though_values_are_still_made() -> None:
    began = time.monotonic()
    assert run(LEFT_OPEN).returncode == 0
    assert time.monotonic() - began < 60


ORPHANS = """
import multiprocessing, os, signal, time
from medvid.data.loading.workers import load_ahead
values = load_ahead(time.sleep, [0, 600, 600], workers=2)
next(values)
print(*(process.pid for process in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_the_one_that_it_loads_for() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        orphans = [int(number) for number in process.stdout.readline().split()]
    assert len(orphans) == 2
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(number) and psutil.Process(number).status() != "zombie" for number in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.1)


TOO_FEW_FILES = """
import os, resource
from medvid.data.loading import workers
workers.usable_cores = lambda: 30
before = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, before + 20))
try:
    list(workers.load_ahead(str, range(99), workers=30))
except OSError as error:
    print(error.strerror, len(os.listdir("/proc/self/fd")) - before)
print(*workers.load_ahead(str, range(4), workers=2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_too_few_files_for_all_processes_leave_none_behind() -> None:
    result = run(TOO_FEW_FILES)
    assert result.stdout.splitlines() == ["Too many open files 0", "0 1 2 3"], result.stderr
