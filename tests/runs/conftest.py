import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import medvid
from medvid.runs.api import Run

TINY = Path(__file__).parent / "tiny.yaml"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """One finished run of tiny.yaml; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return medvid.run(TINY)


@pytest.fixture
def tiny_task(working_directory: Path) -> Path:
    """A copy of tiny.yaml in an empty working directory."""
    return Path(shutil.copy(TINY, working_directory))


@pytest.fixture
def start() -> Callable[..., "subprocess.Popen[str]"]:
    """Starts a command of medvid in a process group of its own."""

    def run(*arguments: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "medvid", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return run
