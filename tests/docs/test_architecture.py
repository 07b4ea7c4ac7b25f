"""The page on the architecture names files and rooms that exist, and walks through each file once."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
WALK = TEXT.split("## From a command to a step")[1].split("\n## ")[0]


def files_of(text: str) -> list[str]:
    return re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text)


def test_the_files_it_names_exist() -> None:
    assert [name for name in files_of(TEXT) if not (ROOT / "core" / "medvid" / name).exists()] == []


def test_the_walk_names_each_file_once() -> None:
    assert sorted(files_of(WALK)) == sorted(set(files_of(WALK)))


def test_the_order_of_the_rooms_is_that_of_the_linter() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = [layer for layer in layers if (ROOT / "core" / "medvid" / layer).is_dir()]
    assert " > ".join([*rooms, "the ground floor"]) in TEXT
