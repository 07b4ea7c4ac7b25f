from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from medvid.plugin.events import RunInfo
from medvid.tracking.content import parameters, safe_key, short_path, tags


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("validation/dice/left kidney", "validation/dice/left kidney"),
        ("dice@0.5", "dice_0.5-"),
        ("../../etc/passwd", "etc/passwd-"),
        ("/a//b/./c", "a/b/c-"),
        ("vein (portal): 100%", "vein _portal__ 100_-"),
        ("..", "-"),
        ("", "-"),
        ("x" * 300, "x" * 243 + "-"),
    ],
)
def test_names_are_what_mlflow_takes_and_changed_ones_say_so(name: str, key: str) -> None:
    changed = safe_key(name)
    assert changed == key or (key[-1] == "-" and changed[:-6] == key)


@given(st.sets(st.text(st.sampled_from("ab/._- @()é\u0301:%"), max_size=6) | st.text(max_size=300), min_size=2))
def test_two_names_never_become_one_key(names: set[str]) -> None:
    keys = [safe_key(name) for name in names]
    assert len(set(keys)) == len(names)
    for key in keys:
        _validate_metric_name(key)
        _validate_param_name(key)


def test_parameters_are_flat_and_within_limits() -> None:
    config = {"a": {"b": {"c": 1}, "d": None, "e": "x" * 7000}, "f": [1, 2], "g": False, "h": "text", "token": "canary"}
    found = parameters(config)
    assert len(found.pop("a.e")) == 6000
    assert found == {"a.b.c": "1", "f": "[1, 2]", "g": "false", "h": "text", "token": "***"}


def test_a_demo_says_so_first(make_run: Callable[..., RunInfo]) -> None:
    found = tags(make_run(demo=True))
    assert found["data"] == "demo"
    assert found["mlflow.note.content"].startswith("**DEMO DATA - figures say nothing about btcv")


def test_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(tmp_path / "runs" / "x") == Path("runs/x")
    assert short_path(tmp_path.parent) == tmp_path.parent
