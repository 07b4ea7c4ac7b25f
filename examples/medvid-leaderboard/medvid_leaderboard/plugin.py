"""Keeps a leaderboard of each task, ``runs/<task>/leaderboard.csv``: its finished runs, best first."""

import csv
import json
from pathlib import Path
from typing import Any

from medvid.plugin import RunInfo, hookimpl


@hookimpl
def medvid_run_finished(run: RunInfo) -> None:
    """Rank all finished runs of the task again, so that none is lost if two end at once, and deleted ones disappear."""
    write(
        run.folder.parent / "leaderboard.csv",
        [summary for summary in map(read, run.folder.parent.iterdir()) if summary],
    )


def read(folder: Path) -> dict[str, Any] | None:
    """The entry of a finished run from its summary.json; None for anything else."""
    path = folder / "summary.json"
    summary = json.loads(path.read_text()) if path.is_file() else {}
    if summary.get("status") != "finished":
        return None
    figures = {
        name: value for name, value in summary["metrics"].items() if "/" not in name
    }  # without figures per label
    return {"run": summary["run"], "data": summary["data"], "step": summary["step"], **figures}


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    """Write the runs, ranked by the first figure (higher is better); runs without a score come last."""
    columns = list(dict.fromkeys(name for run in runs for name in run))
    key = columns[3]
    runs.sort(key=lambda run: (run.get(key) is None, -(run.get(key) or 0)))
    draft = path.with_suffix(".draft")
    with draft.open("w", newline="") as file:
        table = csv.DictWriter(file, ["rank", *columns])
        table.writeheader()
        table.writerows({"rank": rank} | run for rank, run in enumerate(runs, start=1))
    draft.replace(path)
