import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medvid.errors import PluginError
from medvid.runs.environment import check_plugins, compare_environments, describe_environment, describe_git


def test_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["/home/jane/bin/platform", "run", "task.yaml", "--set", "tracking.tags.token=canary"]
    )
    monkeypatch.setenv("SOME_SECRET", "canary-in-environment")
    monkeypatch.setenv("USER", "jane-canary")
    found = describe_environment({"medvid": "0.1.0"})
    assert found["command"] == "platform run task.yaml --set 'tracking.tags.token=***'"
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert {"python", "medvid", "mlflow", "monai"} <= found["versions"].keys()
    assert "pytest" not in found["versions"], "an extra"
    assert found["plugins"] == {"medvid": "0.1.0"}
    assert found["torch_threads"] == torch.get_num_threads()
    assert found["cpu"]["threads"] >= 1
    text = json.dumps(found)
    assert "canary" not in text
    assert socket.gethostname() not in text


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_git(tmp_path: Path) -> None:
    assert describe_git(tmp_path) is None
    git(tmp_path, "init", "--initial-branch", "trunk")
    assert describe_git(tmp_path) is None, "no commit yet"
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--message", "first")
    (tmp_path / "untracked").write_text("1")
    clean = describe_git(tmp_path)
    assert clean is not None
    assert (len(clean["commit"]), clean["branch"], clean["dirty"]) == (40, "trunk", False)
    (tmp_path / "file").write_text("2")
    assert describe_git(tmp_path) == {**clean, "dirty": True}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert describe_git(tmp_path) is None


def versions(plugin: str, torch: str) -> dict[str, dict[str, str]]:
    return {"plugins": {"medvid-net": plugin}, "versions": {"torch": torch}}


def test_other_versions_are_told_and_other_major_ones_of_plugins_refused() -> None:
    began = versions("1.2.0", "2.14.1")
    assert compare_environments(began, began) == []
    assert compare_environments(began, versions("1.3.0", "3.0.0")) == [
        "medvid-net is 1.3.0, was 1.2.0 when the run started",
        "torch is 3.0.0, was 2.14.1 when the run started",
    ]
    check_plugins({"medvid-net": "1.2.0"}, {"medvid-net": "1.3.0"})
    with pytest.raises(PluginError, match=r"medvid-net is 2\.0\.0, was 1\.2\.0") as caught:
        check_plugins({"medvid-net": "1.2.0"}, {"medvid-net": "2.0.0"})
    assert "medvid-net==1.2.0" in caught.value.hint
