"""JSON files that come with data, perhaps written by hand."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medvid.errors import DataError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a duplicate key is an error, since one of its values would be lost.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    content = read_json_value(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} has to hold a JSON object")
    return content


def read_json_value(path: Path) -> Any:
    """Read a JSON file of any content; raises as `read_json`."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repetition)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"duplicate key {next(key for key in counts if counts[key] > 1)!r}")
    return content
