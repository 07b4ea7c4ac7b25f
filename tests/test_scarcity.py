"""What a machine does not have enough of is told as that, with exit code 6."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from medvid.errors import ResourceError
from medvid.files import write_text, writing
from medvid.scarcity import as_resource_error, scarcity_named

SMALL_DISK = """
mount -t tmpfs -o size=1m tmpfs "$1"; shift
exec "$@"
"""


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs Python with a disk of 1 MiB as its working and home folder."""
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = ["unshare", "-Urm", "sh", "-ec", SMALL_DISK, "-", str(disk)]
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for users here")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        variables = {**os.environ, "HOME": str(disk), "XDG_CACHE_HOME": str(disk / "cache")}
        command = [*inside, "env", f"--chdir={disk}", sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=variables)

    return run


WRITERS = """
import sys
from pathlib import Path
import numpy as np
from medvid.data.images import writing as mask_files
from medvid.data.volumes import reading
from medvid.data.generated import generate_once
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.formats.format import Geometry, LabelMap
from medvid.errors import ResourceError
from medvid.files import make_folder, replace_folder, write_json, writing

noise = np.random.default_rng(0).integers(0, 200, (256, 256, 40)).astype(np.uint8)
def save_array():
    with writing(Path("array.npy")), open("array.npy", "wb") as file:
        np.save(file, noise)
def save_folder():
    with replace_folder(Path("folder")) as draft:
        np.save(draft / "a.npy", noise)
def fill(folder):
    for number in range(9):
        mask_files.write_mask(folder / f"{number}.png", noise[..., number], 200)
def labels():
    with writing(Path("labels")):
        geometry = Geometry(noise.shape, np.eye(4))
        reading.write_labels(shipped_formats(), Path("labels"), "a", LabelMap(noise, geometry))
def mask():
    with writing(Path("masks")):
        make_folder(Path("masks"))
        fill(Path("masks"))
writers = [save_array, save_folder, labels, mask]
writers += [lambda: generate_once(Path("demo"), {}, fill), lambda: write_json(Path("a.json"), {"a": "b" * 2**21})]
for write in writers:
    try:
        write()
    except ResourceError as error:
        print(error)
    else:
        sys.exit(f"{write} has written all of it")
"""


def test_each_writer_tells_of_a_full_disk(on_small_disk: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    done = on_small_disk("-c", WRITERS)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    reasons = ("no space left", "not all of it could be written")
    assert all(line.startswith("cannot write ") and any(reason in line for reason in reasons) for line in lines), lines


def test_a_run_whose_demo_finds_no_room_is_exit_6(
    on_small_disk: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    task = Path(__file__).parent / "runs" / "tiny.yaml"
    done = on_small_disk("-m", "medvid", "run", str(task))
    assert done.returncode == 6, done.stderr
    assert "error[RESOURCE]: cannot write " in done.stderr
    assert "hint: free space" in done.stderr


def test_memory_that_cannot_be_had_is_told_as_that() -> None:
    for allocate in (lambda: torch.empty(1 << 50), lambda: np.empty(1 << 50), lambda: bytearray(1 << 60)):
        with pytest.raises(ResourceError, match=r"^out of memory: ") as raised, scarcity_named():
            allocate()
        assert "train.batch_size" in raised.value.hint


def test_a_library_that_finds_no_room_is_told_as_that() -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, -1)); from medvid.cli.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", code + "exit(main(['evaluate', '.']))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "error[RESOURCE]: out of memory: " in done.stderr


def test_other_errors_stay_what_they_are() -> None:
    for error in (
        RuntimeError("shapes differ"),
        FileNotFoundError(2, "no such file", "a"),
        ValueError(),
        OSError("odd"),
    ):
        assert as_resource_error(error) is None
        with pytest.raises(type(error)), writing(Path("a")):
            raise error


def test_a_limit_on_files_is_told_with_the_path(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"cannot write .*a\.txt: the file would be larger than is allowed"):
            write_text(tmp_path / "a.txt", "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
