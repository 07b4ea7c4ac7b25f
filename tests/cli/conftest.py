"""The command line, in this process or in one of its own."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
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


def _pip(*arguments: object) -> bool:
    """Whether pip did it, within reasonable time."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture
def install_project(third_party: Any, tmp_path: Path) -> Callable[..., None]:
    """Install the distribution of a folder beside the third-party plugins, without what it requires.

    Its wheel is built and installed by pip. Where that needs a build backend that is neither here nor to be had, and
    where a test asks for it (``unpack=True``) to save seconds, its packages are copied as pip would.
    """

    def install(project: Path, *, unpack: bool = False) -> None:
        wheels = tmp_path / f"wheels-{project.name}"
        isolation = ["--no-build-isolation"] if find_spec("hatchling") else ["--retries", "0", "--timeout", "10"]
        built = not unpack and _pip("wheel", "--no-deps", *isolation, "--wheel-dir", wheels, project)
        if built:
            (wheel,) = wheels.iterdir()
            assert _pip("install", "--no-index", "--no-deps", "--target", third_party.folder, wheel)
        else:
            _unpack(third_party, project)

    return install


def _unpack(third_party: Any, project: Path) -> None:
    about = tomllib.loads((project / "pyproject.toml").read_text())
    name, version = about["project"]["name"], about["project"]["version"]
    points = about["project"]["entry-points"]["medvid.plugins"]
    module = third_party.install(name, "", version=version)
    module.unlink()
    info = third_party.folder / f"{module.stem}-{version}.dist-info"
    (info / "entry_points.txt").write_text(
        "[medvid.plugins]\n" + "".join(f"{point} = {value}\n" for point, value in points.items())
    )
    with (info / "METADATA").open("a") as file:
        file.writelines(f"Requires-Dist: {requirement}\n" for requirement in about["project"]["dependencies"])
    files = [info / "METADATA", info / "entry_points.txt"]
    for package in about["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        copy = shutil.copytree(project / package, third_party.folder / Path(package).name)
        files += [path for path in copy.rglob("*") if path.is_file()]
    (info / "RECORD").write_text("".join(f"{path.relative_to(third_party.folder)},{_hash(path)},\n" for path in files))


def _hash(path: Path) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
