"""Folders of generated data are complete or not there, and made once, however many processes want them."""

import multiprocessing
import time
from functools import partial
from pathlib import Path

import pytest

from medvid.data.generated import MARKER, generate_once
from medvid.errors import DataError


def write_slowly(log: Path, folder: Path) -> None:
    with log.open("a") as file:
        file.write("written\n")
    for number in range(5):
        (folder / f"{number}.txt").write_text("data")
        time.sleep(0.1)


def generate_and_read(folder: Path, log: Path) -> None:
    generate_once(folder, {"seed": 0}, partial(write_slowly, log))
    for _ in range(20):
        assert len(list(folder.glob("*.txt"))) == 5, "nobody takes the data away while it is read"
        time.sleep(0.02)


def test_processes_that_want_the_same_wait_for_the_first(tmp_path: Path) -> None:
    folder, log = tmp_path / "demo", tmp_path / "log"
    processes = [
        multiprocessing.get_context("fork").Process(target=generate_and_read, args=(folder, log)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "written\n"


def test_another_description_replaces_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    generate_once(folder, {"seed": 0}, lambda path: (path / "a").touch())
    generate_once(folder, {"seed": 1}, lambda path: (path / "b").touch())
    assert {path.name for path in folder.iterdir()} == {"b", MARKER}


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        (path / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        generate_once(tmp_path / "demo", {}, fail)
    assert not (tmp_path / "demo").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".demo.lock"]


def test_other_data_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="was not made by the generator"):
        generate_once(tmp_path / "mine", {}, lambda _: None)
