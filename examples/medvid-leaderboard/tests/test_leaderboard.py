import csv
import json
from pathlib import Path

from medvid_leaderboard import plugin

from medvid.plugin import RunInfo


def finish(folder: Path, name: str, dice: float | None, status: str = "finished") -> RunInfo:
    run = folder / name
    run.mkdir()
    summary = {"run": name, "data": "demo", "step": 7, "status": status, "metrics": {"dice": dice, "dice/liver": 1}}
    (run / "summary.json").write_text(json.dumps(summary))
    return RunInfo(
        name=name, task="t", folder=run, config={}, seed=0, demo=True, start_step=0, steps=7, device="cpu",
        plugins={}, environment={}, datasets={},
    )  # fmt: skip


def test_finished_runs_are_ranked_by_their_first_figure(tmp_path: Path) -> None:
    finish(tmp_path, "worse", 0.5)
    finish(tmp_path, "unscored", None)
    finish(tmp_path, "broken", 0.99, status="failed")
    (tmp_path / "begun").mkdir()
    plugin.medvid_run_finished(run=finish(tmp_path, "better", 0.75))
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["run"], row["dice"]) for row in rows] == [
        ("1", "better", "0.75"), ("2", "worse", "0.5"), ("3", "unscored", ""),
    ]  # fmt: skip
    assert list(rows[0]) == ["rank", "run", "data", "step", "dice"]


def test_it_is_written_anew_each_time(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.csv").write_text("what was there")
    for name in ("first", "second"):
        plugin.medvid_run_finished(run=finish(tmp_path, name, 0.5))
    assert len((tmp_path / "leaderboard.csv").read_text().splitlines()) == 3
