import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medvid
from medvid.runs.api import Run

TINY = Path(__file__).parent / "tiny.yaml"
SMALL = Path(__file__).parent / "small.yaml"


def draw_images(root: Path, names: Iterable[str], seed: int = 0) -> Path:
    """Write images of noise with a bright square, and its mask."""
    for name in names:
        random = np.random.default_rng([seed, *name.encode()])
        image, mask = random.integers(0, 100, (16, 16), np.uint8), np.zeros((16, 16), np.uint8)
        row, column = random.integers(0, 8, 2)
        mask[row : row + 8, column : column + 8] = 255
        for folder, array in (("images", np.maximum(image, mask // 2)), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{name}.png")
    return root


def setting(*overrides: str) -> list[str]:
    """Options of `platform run`."""
    return [word for override in overrides for word in ("--set", override)]


def content_of(folder: Path) -> dict[str, str]:
    """A hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """One finished run of tiny.yaml; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return medvid.run(TINY)


@pytest.fixture(scope="session")
def small_master(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Path:
    """A working directory with a finished run of small.yaml; tests copy it."""
    folder = tmp_path_factory.mktemp("small")
    draw_images(folder / "own", "abcdef")
    shutil.copy(SMALL, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        medvid.run("small.yaml")
    return folder


@pytest.fixture
def small(small_master: Path, working_directory: Path) -> Run:
    """A finished run of small.yaml on images of its own, in the working directory."""
    shutil.copytree(small_master, working_directory, dirs_exist_ok=True)
    [folder] = (working_directory / "runs/small").iterdir()
    moved = folder / "resolved.yaml"  # its images are in another place now, which it may be
    moved.write_text(moved.read_text().replace(str(small_master), str(working_directory)))
    return medvid.load_run(folder)


@pytest.fixture
def tiny_task(working_directory: Path) -> Path:
    """A copy of tiny.yaml in an empty working directory."""
    return Path(shutil.copy(TINY, working_directory))


@pytest.fixture
def small_task(working_directory: Path) -> Path:
    """A copy of small.yaml in a working directory that holds nothing but its images."""
    draw_images(working_directory / "own", "abcdef")
    return Path(shutil.copy(SMALL, working_directory))


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
