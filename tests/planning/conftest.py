"""The command in this process, with few draws: their number decides nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.cli.main import main
from medvid.planning.volumes import survey


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run ``platform plan``; returns the exit code, what it wrote to the screen, and what it said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(survey, "DRAWS", 10_000)

    def run(*arguments: Any) -> tuple[int, str, str]:
        code = main(["plan", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run
