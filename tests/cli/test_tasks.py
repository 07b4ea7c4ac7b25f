"""`platform tasks`, in this process, and from a wheel that is installed where there is no clone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_list_has_what_each_recipe_needs_and_fits_a_terminal(platform: Any) -> None:
    code, out, _ = platform("tasks")
    assert code == 0
    lines = out.splitlines()
    rows = [" ".join(line.split()) for line in lines]  # columns are as wide as their longest entry
    assert "unetr_btcv btcv yes mean Dice 0.77 to 0.80 (a single model, 24/6 split)" in rows
    assert "mvit_btcv btcv yes none" in rows
    assert any(row.startswith("btcv BTCV_ROOT data/btcv abdominal CT") for row in rows)
    assert max(map(len, lines)) <= 115


def test_a_copy_is_the_recipe_and_overwrites_nothing(platform: Any, task_file: Path) -> None:
    assert platform("tasks", "copy", "unetr_btcv").out == (
        "written to unetr_btcv.yaml; run it with: platform run unetr_btcv.yaml\n"
    )
    assert Path("unetr_btcv.yaml").read_bytes() == task_file.read_bytes()
    Path("unetr_btcv.yaml").write_text("mine")
    assert platform("tasks", "copy", "unetr_btcv").code == 2
    assert Path("unetr_btcv.yaml").read_text() == "mine"
    assert platform("tasks", "copy", "unetr_btcv", "--to", "new/mine.yaml").code == 0
    assert platform("tasks", "copy", "mvit_btcv", "--to", "new").code == 0
    assert {path.name for path in Path("new").iterdir()} == {"mine.yaml", "mvit_btcv.yaml"}


def test_there_has_to_be_a_recipe_to_copy(platform: Any) -> None:
    code, _, error = platform("tasks", "copy", "unetr")
    assert code == 2
    assert error.startswith("error[CONFIG]: there is no recipe 'unetr'\nhint: the nearest recipes: unetr_btcv, ")


def test_a_wheel_brings_the_recipes(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, installed, here = tmp_path / "wheels", tmp_path / "installed", tmp_path / "here"
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, REPOSITORY]
    subprocess.run(build, check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([*pip, "install", "--no-index", "--no-deps", "--target", installed, wheel], check=True)
    here.mkdir()

    def platform(*arguments: str) -> str:
        command, environment = [sys.executable, "-m", "medvid", *arguments], {**os.environ, "PYTHONPATH": installed}
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here, env=environment)
        return done.stdout

    assert "unetr_btcv" in platform("tasks")
    platform("tasks", "copy", "medt_glas")
    assert (here / "medt_glas.yaml").read_bytes() == (REPOSITORY / "tasks/medt_glas.yaml").read_bytes()
    checked = platform("check", "unetr_btcv", "--demo")
    assert checked.startswith("config  ok  unetr_btcv is valid: task 'unetr_btcv'")
