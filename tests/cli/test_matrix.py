"""`platform matrix`."""

import json
import re
from collections.abc import Callable
from typing import Any


def test_it_shows_a_row_for_each_backbone_and_head(platform: Callable[..., Any]) -> None:
    result = platform("matrix")
    assert result.code == 0
    heading, *rows = result.out.splitlines()
    assert heading.split() == ["backbone", "head", "where", "what", "image", "volume", "video"]
    [row] = [row for row in rows if row.split()[:4] == ["unetr", "pixel", "voxel", "class"]]
    assert row.split("  ")[-1].strip() == "with frames as slices"
    assert any(re.fullmatch(r"\d+ of \d+ train", row) for row in rows)


def test_json_says_what_was_tried(platform: Callable[..., Any]) -> None:
    cells = json.loads(platform("matrix", "--json").out)
    [cell] = [
        cell
        for cell in cells
        if (cell["backbone"], cell["head"], cell["axes"], cell["what"])
        == ("transunet", "unetr_decoder", "volume", "class")
    ]
    assert cell["trains"]
    assert cell["where"] == "voxel"
    assert (cell["manner"], cell["input_size"]) == ("slice by slice", [32, 32, 4])
    assert cell["backbone_options"]["img_size"] == [32, 32]
