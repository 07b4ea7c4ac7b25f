"""The command line, in this process or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from medvid.cli.main import main

REPOSITORY = Path(__file__).parents[2]


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def platform(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*arguments: Any) -> Result:
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Result]:
    """Run Python code in a process of its own, below an empty working directory."""

    def run(code: str, *arguments: str) -> Result:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def task_file() -> Path:
    """A shipped task, whose data is not there."""
    return REPOSITORY / "tasks" / "unetr_btcv.yaml"
