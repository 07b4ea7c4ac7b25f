"""The example plugin as its users meet it: built, installed into an environment of its own, enabled, used, removed."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from medvid.plugin.allowlist import VARIABLE

EXAMPLE = Path(__file__).parents[2] / "examples" / "medvid-timm"


class Environment(NamedTuple):
    """A virtual environment, and a working directory for what runs in it."""

    python: Path
    folder: Path
    variables: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False, timeout=1800
        )

    def platform(self, *arguments: str) -> str:
        done = self.run("medvid", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> str:
        """Of the plugin."""
        plugins = json.loads(self.platform("plugins", "list", "--json"))["plugins"]
        [plugin] = [plugin for plugin in plugins if plugin["distribution"] == "medvid-timm"]
        return str(plugin["status"])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Environment:
    """Has the plugin's wheel and what it requires; what is installed here is there too, so that torch need not be."""
    folder = tmp_path_factory.mktemp("medvid_timm")
    variables = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "PYTHONPATH")}
    variables |= {"MLFLOW_TRACKING_URI": tracking_uri, "OMP_NUM_THREADS": "1"}
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(EXAMPLE))
    [wheel] = folder.glob("medvid_timm-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    inner = sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    # Unlike a plain path, addsitedir also follows the .pth files there, through which an editable medvid is found.
    outer = sysconfig.get_path("purelib")
    (Path(inner) / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    _pip("--python", str(python), "install", str(wheel))
    return Environment(python, folder, variables)


def test_from_installing_to_removing(environment: Environment) -> None:
    assert environment.status() == "installed, not enabled"
    assert "platform plugins add medvid-timm" in environment.platform("plugins", "list")
    run = [
        "run", str(EXAMPLE / "task.yaml"), "--demo", "--set", "train.steps=2",
        "--set", "train.schedule.warmup_steps=1", "--set", "evaluation.every=2",
        "--set", "demo.generate.train=2", "--set", "demo.generate.validation=1",
    ]  # fmt: skip
    refused = environment.run("medvid", *run)
    assert refused.returncode == 3
    assert "platform plugins add medvid-timm" in refused.stderr

    assert "backbone timm, backbone vit_pytorch" in environment.platform("plugins", "add", "medvid-timm")
    assert environment.status() == "enabled"
    environment.platform(*run)
    [summary] = (environment.folder / "runs" / "swin_btcv").glob("*/summary.json")
    _check_summary(json.loads(summary.read_text()))
    used = json.loads((summary.parent / "environment.json").read_text())
    assert used["plugins"]["medvid-timm"] == "0.1.0"
    assert used["unverified_plugins"] == []

    environment.platform("plugins", "remove", "medvid-timm")
    assert environment.status() == "installed, not enabled"
    assert environment.run("medvid", *run).returncode == 3


def test_its_own_tests_pass_on_what_was_installed(environment: Environment) -> None:
    options = ["-p", "no:cacheprovider", "-o", "pythonpath=tests"]
    done = environment.run("pytest", "-q", "--rootdir", str(EXAMPLE), *options, str(EXAMPLE))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "DeepViT" not in done.stdout, "vit-pytorch is installed: no test of its models is skipped"


def _check_summary(summary: dict[str, Any]) -> None:
    assert summary["status"] == "finished"
    assert summary["data"] == "demo"
    assert summary["step"] == 2
    assert 0 <= summary["metrics"]["dice"] <= 1


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
