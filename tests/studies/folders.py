"""Folders as evaluations and finished runs leave them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvid.evaluation.metrics.aggregate import headline, per_label
from medvid.evaluation.report import write_cases

Rows = Sequence[Mapping[str, Any]]


def written(folder: Path, rows: Rows, metrics: Mapping[str, float], better: Mapping[str, str], **more: Any) -> Path:
    """A folder as an evaluation leaves it."""
    folder.mkdir(parents=True)
    write_cases(rows, folder / "cases.csv")
    summary = {"metrics": dict(metrics), "better": dict(better), "monitor": next(iter(metrics)), **more}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def masks(folder: Path, dice: Mapping[str, Sequence[float]], **more: Any) -> Path:
    """Of masks, with the Dice of each label of each case."""
    rows = [
        {"case": case, "label": f"l{label}", "label_id": label, "state": "scored", "dice": value, "hd95_mm": 9 - value}
        for case, values in dice.items()
        for label, value in enumerate(values, start=1)
    ]
    metrics = headline(per_label(rows, ["dice", "hd95_mm"]))
    return written(folder, rows, metrics, {"dice": "higher", "hd95_mm": "lower", "voxels": ""}, **more)
