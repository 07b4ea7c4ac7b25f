import json
from pathlib import Path
from typing import Any


def test_the_schema_is_printed_or_written(platform: Any, tmp_path: Path) -> None:
    printed = json.loads(platform("schema").out)
    *blocks, alone = printed["properties"]["backbone"]["oneOf"]
    assert "unetr" in [block["properties"]["name"]["const"] for block in blocks]
    assert "vivit" in alone["enum"]  # none of its options is required, so its name alone will do
    assert "hidden_size" in printed["$defs"]["UNETROptions"]["properties"]
    assert platform("schema", "-o", tmp_path / "s.json").code == 0
    assert json.loads((tmp_path / "s.json").read_text()) == printed
