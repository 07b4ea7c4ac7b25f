import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medvid import machine
from medvid.config.task import TrainOptions
from medvid.machine import usable_cores, usable_memory
from medvid.training.device import make_fabric
from medvid.training.optimizers.options import AdamWOptions

MANY = 1 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups as files like those of Linux, as no test may limit the processes of a machine."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "cgroup").mkdir()
    return tmp_path / "cgroup"


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")


@pytest.mark.parametrize(
    ("outer", "inner", "cores"),
    [
        ("max 100000", "max 100000", 64),
        ("200000 100000", "max 100000", 2),
        ("400000 100000", "150000 100000", 2),
        ("max 100000", "10000 100000", 1),
        ("9000000 100000", "max 100000", 64),
    ],
)
def test_the_quota_of_version_2_counts_wherever_it_is_set(groups: Path, outer: str, inner: str, cores: int) -> None:
    write(groups.parent / "membership", "0::/job/step")
    write(groups / "job/cpu.max", outer)
    write(groups / "job/step/cpu.max", inner)
    assert usable_cores() == cores


@pytest.mark.parametrize("membership", ["4:cpu,cpuacct:/docker/abc", "4:cpu,cpuacct:/\n3:memory:/x\n0::/"])
@pytest.mark.parametrize(("quota", "cores"), [(-1, 64), (200000, 2), (250000, 3)])
def test_so_does_that_of_version_1_also_seen_from_inside_of_a_container(
    groups: Path, membership: str, quota: int, cores: int
) -> None:
    write(groups.parent / "membership", membership)
    write(groups / "cpu,cpuacct/cpu.cfs_quota_us", quota)
    write(groups / "cpu,cpuacct/cpu.cfs_period_us", 100000)
    assert usable_cores() == cores


def test_the_quota_of_a_container_is_at_the_top_of_what_it_sees(groups: Path) -> None:
    write(groups.parent / "membership", "0::/")
    write(groups / "cpu.max", "200000 100000")
    assert usable_cores() == 2


def test_memory_of_a_group_counts_less_what_can_be_dropped(groups: Path) -> None:
    write(groups.parent / "membership", "0::/job")
    write(groups / "job/memory.max", 10 * MANY)
    write(groups / "job/memory.current", 9 * MANY)
    write(groups / "job/memory.stat", f"anon 5\ninactive_file {2 * MANY}\nslab 3")
    assert usable_memory() == 3 * MANY
    write(groups / "job/memory.max", "max")
    assert usable_memory() > 3 * MANY


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity")
def test_affinity_counts() -> None:
    one = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); from medvid.machine import usable_cores"
    done = subprocess.run(
        [sys.executable, "-c", f"{one}; print(usable_cores())"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_torch_uses_no_more_threads_than_that(groups: Path) -> None:
    write(groups.parent / "membership", "0::/")
    write(groups / "cpu.max", "100000 100000")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        make_fabric(TrainOptions(steps=1, batch_size=1, optimizer=AdamWOptions(lr=1e-3), accelerator="cpu"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
