"""`platform profile`, on a small task and on a run of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from medvid.config.load import load_task
from medvid.plugin.host import make_host
from medvid.runs.verdict import verdict

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_task_is_measured_from_data_to_optimizer(platform: Any, tmp_path: Path) -> None:
    result = platform("profile", TINY, "--steps", "2", "--seconds", "0.01", "-o", tmp_path / "found.json")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["training"]["parts"].keys() == {"data", "copy", "forward", "backward", "optimizer"}
    assert all(seconds > 0 for seconds in found["training"]["parts"].values())
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert found["inference"]["latency"]["median"] <= found["inference"]["latency"]["p99"]
    stages = found["model"]["stages"].values()
    assert found["model"]["multiply_adds"] == sum(stage["multiply_adds"] for stage in stages) > 0
    assert found["verdict"] in result.out
    assert not (tmp_path / "runs").exists()


def test_sizes_need_no_data_and_fill_a_table(platform: Any) -> None:
    result = platform("profile", "unetr_btcv", "vit_none", "--counts")
    assert result.code == 2
    result = platform("profile", TINY, TINY, "--counts", "--set", "seed=1")
    head, *rows = result.out.splitlines()
    assert head.split() == ["task", "backbone", "head", "input", "parameters", "multiply-adds"]
    assert len(rows) == 2
    assert platform("profile", TINY, TINY).code == 2


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ({"data": 0.5, "compute": 0.5}, "train.workers=64"),
        ({"data": 0.1, "compute": 0.4, "evaluation": 0.5}, "evaluation.every="),
        ({"data": 0.1, "compute": 0.6, "records": 0.3}, "train.log_every="),
        ({"data": 0.1, "compute": 0.9}, "train.compile=true"),
    ],
)
def test_the_verdict_names_a_setting(shares: dict[str, float], says: str) -> None:
    task = load_task(TINY, make_host())
    assert says in verdict(shares, task, "fp32", cores=64)
