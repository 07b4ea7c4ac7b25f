"""The life of a third-party plugin, from its wheel to the records of runs that it had a part in: the example."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from medvid.files import read_json
from medvid.plugin.host import make_host

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "medvid-leaderboard"
TINY = REPOSITORY / "tests" / "runs" / "tiny.yaml"


@pytest.mark.usefixtures("working_directory")
def test_a_listener_from_wheel_to_removal(platform: Any, third_party: Any, install_project: Any) -> None:
    install_project(EXAMPLE)
    assert "plugin leaderboard of medvid-leaderboard 1.0.0 is installed, not enabled" in platform("plugins", "list").out
    added = platform("plugins", "add", "medvid-leaderboard")
    assert added.code == 0
    assert "entry point   leaderboard = medvid_leaderboard.plugin" in added.out
    assert platform("plugins", "lock", "--check").code == 0

    assert platform("run", TINY).code == 0
    (folder,) = Path("runs/tiny").glob("unetr*")
    with Path("runs/tiny/leaderboard.csv").open() as file:
        (row,) = csv.DictReader(file)
    summary = read_json(folder / "summary.json")
    assert (row["rank"], row["run"], row["data"]) == ("1", folder.name, "demo")
    assert float(row["dice"]) == summary["metrics"]["dice"]
    assert summary["plugins"]["medvid-leaderboard"] == "1.0.0"

    assert platform("plugins", "remove", "medvid-leaderboard").code == 0
    assert "leaderboard" not in [plugin.name for plugin in make_host().used_by([])]
    assert "plugin leaderboard of medvid-leaderboard 1.0.0 is installed, not enabled" in platform("plugins", "list").out
    for path in third_party.folder.glob("medvid_leaderboard*"):  # pip uninstall
        shutil.rmtree(path)
    assert "leaderboard" not in platform("plugins", "list").out


def test_the_example_is_as_short_as_it_says() -> None:
    lines = (EXAMPLE / "medvid_leaderboard" / "plugin.py").read_text().splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(code) <= 32


def test_the_docs_say_what_the_allow_list_is_and_is_not() -> None:
    text = " ".join((REPOSITORY / "docs" / "plugins.md").read_text().split())
    for said in (
        "**It is not a sandbox.** A plugin is code that runs with your permissions",
        "It does not stop a malicious package",
        "`.pth` file",
        "as another user or in a container",
    ):
        assert said in text
    for command in ("new", "list", "add", "check", "lock", "lock --check", "remove"):
        assert f"`platform plugins {command}" in text
