"""`platform plugins new`: what it writes works as it is."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.plugin.kinds import KINDS

CODE = {
    "backbone": ["model"],
    "head": ["head"],
    "dataset": ["data", "demo"],
    "loss": ["loss"],
    "transform": ["transform"],
    "optimizer": ["optimizer"],
    "protocol": ["protocol"],
    "format": ["format"],
    "launcher": ["launcher"],
    "listener": [],
}
"""Modules of a new plugin, beside plugin.py and config.py, by what it contributes."""
NOT_NAMED_BY_TASKS = ("format", "launcher")
"""Kinds that a task need not name, so that there is none to write."""
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(working_directory: Path) -> Path:
    return working_directory


@pytest.fixture
def create(platform: Any) -> Callable[[str], Path]:
    """Write a new plugin of a kind, medvid-<kind>-demo."""

    def make(kind: str) -> Path:
        result = platform("plugins", "new", f"medvid-{kind}-demo", "--kind", kind)
        assert result.code == 0, result.err
        return Path(f"medvid-{kind}-demo").absolute()

    return make


def in_folder(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module as a program."""
    call = [sys.executable, "-m", *command]
    return subprocess.run(call, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)


def test_there_is_a_new_plugin_for_every_kind() -> None:
    assert set(CODE) == {*KINDS, "listener"}


@pytest.mark.parametrize("kind", CODE)
def test_a_new_plugin_is_complete_and_clean(create: Any, kind: str) -> None:
    project = create(kind)
    found = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    code = CODE[kind]
    options = ["config"] if code else []
    assert found == {
        "README.md",
        "pyproject.toml",
        "tests/test_conformance.py" if code else "tests/test_listener.py",
        *(["task.yaml"] if code and kind not in NOT_NAMED_BY_TASKS else []),
        *(f"src/medvid_{kind}_demo/{name}.py" for name in ["__init__", "plugin", *options, *code]),
    }
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (about["name"], about["entry-points"]) == (
        f"medvid-{kind}-demo",
        {"medvid.plugins": {f"{kind}_demo": f"medvid_{kind}_demo.plugin"}},
    )
    assert "license" not in about
    text = "".join(path.read_text() for path in project.rglob("*") if path.is_file())
    assert "$" not in text
    assert max(map(len, text.splitlines())) <= 120
    settings = ["--isolated", "--line-length", "120"]
    lint = ["check", "--select", "E,F,W,I,N,UP,B,A,C4,RET,SIM,PTH,ANN", "--ignore", "A002"]
    for command in ([*lint, *settings], ["format", "--check", *settings]):
        done = in_folder(project, "ruff", *command)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_keeps_to_the_contract_and_trains(
    platform: Any, create: Any, install_project: Any, kind: str
) -> None:
    project = create(kind)
    install_project(project, unpack=True)
    added = platform("plugins", "add", project.name)
    assert (added.code, added.out.splitlines()[-1]) == (0, f"{kind}_demo: {kind} {kind}_demo")
    checked = platform("plugins", "check", project.name)
    assert checked.code == 0, checked.out
    assert "failed" not in checked.out
    assert "declared" not in checked.out
    if kind in NOT_NAMED_BY_TASKS:
        return
    small = ["train.steps=3", "train.batch_size=2", "demo.generate.train=4", "demo.generate.test=1"]
    small += ["evaluation.every=3", "evaluation.figures=0", "dataset.size=[32,32]"]
    small += [] if kind == "backbone" else ["backbone.img_size=[32,32]"]  # the others come with a small UNETR
    overrides = [word for value in small for word in ("--set", value)]
    trained = platform("run", project / "task.yaml", "--demo", *overrides)
    assert trained.code == 0, trained.err
    assert "finished in" in trained.out
    assert "restored" not in trained.err


def test_a_new_plugins_own_tests_pass_once_it_is_installed(platform: Any, create: Any, install_project: Any) -> None:
    project = create("listener")
    install_project(project)
    assert platform("plugins", "add", project.name).out.endswith("listener_demo: observes runs\n")
    done = in_folder(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_names_become_those_of_python(platform: Any) -> None:
    assert platform("plugins", "new", "Medvid_My.Wave--Net", "-o", "below/deep").code == 0
    project = Path("below/deep/medvid-my-wave-net")
    assert "class MyWaveNet(Backbone):" in (project / "src/medvid_my_wave_net/model.py").read_text()
    assert 'name="my_wave_net"' in (project / "src/medvid_my_wave_net/plugin.py").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a b", "'a b' is not a valid distribution name"),
        ("../evil", "is not a valid distribution name"),
        ("-wave", "No such option"),
        ("medvid-3d", "'3d'"),
        ("class", "'class'"),
        ("json", "would hide the existing package 'json'"),
        ("medvid", "would hide the existing package 'medvid'"),
        ("medvid-unetr", "would hide the existing package 'medvid_unetr'"),
        ("my-unetr", ""),
        ("unetr", "plugin unetr of medvid"),
    ],
)
def test_a_name_that_would_not_work_is_refused(platform: Any, name: str, message: str) -> None:
    result = platform("plugins", "new", name)
    assert result.code == (2 if message else 0)
    assert message in result.err
    if message:
        assert not any(path.is_dir() for path in Path().iterdir())


def test_an_unknown_kind_is_refused(platform: Any) -> None:
    result = platform("plugins", "new", "medvid-wave", "--kind", "hed")
    assert result.code == 2
    assert "there is no kind 'hed'" in result.err
    assert "the kinds are dataset, backbone, head, loss" in result.err


def test_an_existing_folder_is_left_alone(platform: Any, create: Any) -> None:
    project = create("listener")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    result = platform("plugins", "new", project.name)
    assert (result.code, result.err.splitlines()[0]) == (2, f"error[CONFIG]: {project.name} exists already")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_the_templates_are_in_the_wheel() -> None:
    """The wheel takes all files of the core that git does not ignore."""
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "/core/medvid" in wheel["include"]
    templates = sorted((REPOSITORY / "core/medvid/cli/scaffold").rglob("*.template"))
    assert len(templates) > 10
    done = subprocess.run(["git", "check-ignore", *templates], cwd=REPOSITORY, capture_output=True, check=False)
    assert done.returncode != 0, done.stdout  # 1: none is ignored; 128: no git here
