"""The cache shrinks, and never under a run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medvid.config.options import DatasetOptions
from medvid.data.cache_folder import (
    DAY,
    entries,
    entry_path,
    in_use,
    lease,
    make_cache,
    prune,
    tidy,
    touch,
)
from medvid.data.listing import find_files
from medvid.files import default_cache

KEYS = ("aa01", "aa02", "bb03")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of three entries of 100 bytes, used 1, 10 and 100 days ago."""
    tmp_path = tmp_path / "cache"
    make_cache(tmp_path)
    for key, days in zip(KEYS, (1, 10, 100), strict=True):
        path = entry_path(tmp_path, key)
        path.mkdir(parents=True)
        (path / "image.npy").write_bytes(bytes(100))
        os.utime(path, (time.time() - days * DAY,) * 2)
    return tmp_path


def names(folder: Path) -> list[str]:
    return [entry.path.name for entry in entries(folder)]


def test_the_folder_is_where_other_programs_keep_their_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/me")
    assert default_cache() == Path("/scratch/me/medvid")
    assert DatasetOptions(name="x", root=Path("x")).cache == Path("/scratch/me/medvid")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert default_cache() == Path("~/.cache/medvid")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path("~/.cache/medvid")


def test_a_cache_in_a_data_sets_folder_is_not_taken_for_data(folder: Path) -> None:
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert find_files(folder.parent) == ()


def test_entries_in_the_order_of_their_last_use(folder: Path) -> None:
    assert names(folder) == ["bb03", "aa02", "aa01"]
    assert {entry.size for entry in entries(folder)} == {100}
    touch(entry_path(folder, "bb03"))
    assert names(folder) == ["aa02", "aa01", "bb03"]
    touch(entry_path(folder, "gone"))


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"older_than": 200 * DAY}, ["bb03", "aa02", "aa01"]),
        ({"older_than": 5 * DAY}, ["aa01"]),
        ({"to_size": 250}, ["aa02", "aa01"]),
        ({"to_size": 0}, []),
        ({"to_size": 250, "older_than": 200 * DAY}, ["bb03", "aa02", "aa01"]),
        ({}, []),
    ],
)
def test_pruning(folder: Path, limits: dict, left: list[str]) -> None:
    assert len(prune(folder, **limits, dry_run=True)) == 3 - len(left)
    assert len(names(folder)) == 3
    assert len(prune(folder, **limits)) == 3 - len(left)
    assert names(folder) == left
    assert not list(folder.rglob("*.draft"))
    assert prune(folder / "absent") == []


PROGRAM = """
import sys
from pathlib import Path
from medvid.data.cache_folder import entry_path, lease
lease(Path(sys.argv[1]), [entry_path(Path(sys.argv[1]), "bb03"), entry_path(Path(sys.argv[1]), "cc04")])
print("leased", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_what_a_process_uses_is_kept_until_it_ends_however_it_ends(folder: Path, end: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert user.stdin is not None
        assert user.stdout.readline() == "leased\n"
        assert in_use(folder) == {"bb03", "cc04"}
        tidy(folder)
        prune(folder)
        assert names(folder) == ["bb03"]
        user.stdin.close() if end == "close" else user.kill()
        user.wait()
    assert in_use(folder) == set()
    prune(folder)
    assert names(folder) == []
    assert list((folder / "leases").iterdir()) == []


def test_what_is_being_built_is_kept(folder: Path) -> None:
    building = entry_path(folder, "dd05").with_name(".dd05-0123.draft")
    building.mkdir(parents=True)
    prune(folder)
    assert building.is_dir()
    os.utime(building, (time.time() - 2 * DAY,) * 2)
    prune(folder)
    assert not building.exists()


def test_a_damaged_lease_stops_nothing(folder: Path) -> None:
    lease(folder, [entry_path(folder, "aa01")])
    (held,) = (folder / "leases").iterdir()
    assert json.loads(held.read_text()) == ["aa01"]
    (folder / "leases" / "old.json").write_text("{")
    assert in_use(folder) == {"aa01"}
    prune(folder)
    assert names(folder) == ["aa01"]
    assert [path.name for path in (folder / "leases").iterdir()] == [held.name]
