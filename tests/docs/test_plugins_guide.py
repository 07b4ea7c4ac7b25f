"""The plugins of docs/plugins.md, as a reader would write them: short, held to the contract, and trained together."""

import ast
import base64
import hashlib
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

import medvid
from medvid.cli.main import main
from medvid.config.load import load_task
from medvid.config.yaml import parse_file
from medvid.models.features import FeatureInfo
from medvid.plugin import InputInfo, TargetInfo
from medvid.plugin.host import make_host
from medvid.testing import check_component, find_components

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"^```(python|yaml)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")
"""The first line of a block that is a file."""
FILES = {match[1]: text for _, text in BLOCKS if (match := NAMED.match(text))}
FRAGMENTS = [text for kind, text in BLOCKS if kind == "yaml" and not NAMED.match(text)]
PROJECTS = {"medvid-pyramid": "backbone", "medvid-focal": "head", "medvid-arrays": "dataset"}


@pytest.fixture
def guide(third_party: Any, working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a reader who has followed the guide up to the training; returns the task."""
    for project, kind in PROJECTS.items():
        assert main(["plugins", "new", project, "--kind", kind]) == 0
    for path, text in FILES.items():
        assert Path(path).exists() or path == "task.yaml", f"`platform plugins new` knows no {path}"
        Path(path).write_text(text)
    for project in PROJECTS:
        _install(third_party, Path(project))
    monkeypatch.setenv("MEDVID_PLUGINS", str(third_party.allow(*PROJECTS)))
    return working_directory / "task.yaml"


@pytest.mark.parametrize("project", PROJECTS)
def test_a_plugin_is_as_short_as_the_guide_says(project: str) -> None:
    lines = {Path(path).name: _lines_of_code(text) for path, text in FILES.items() if path.startswith(f"{project}/")}
    lines.pop("sample.py", None)  # the data is no part of the plugin's own code
    assert [*lines] == [
        "plugin.py",
        "config.py",
        {"dataset": "data.py", "backbone": "model.py"}.get(PROJECTS[project], "head.py"),
    ]
    assert sum(lines.values()) < 60


@pytest.mark.usefixtures("guide")
def test_the_code_is_clean() -> None:
    code = [f"{project}/src" for project in PROJECTS]
    settings = ["--isolated", "--line-length", "120", *code]
    lint = ["check", "--select", "E,F,W,I,N,UP,B,A,C4,RET,SIM,PTH,ANN", "--ignore", "A002"]
    for command in (lint, ["format", "--check"]):
        call = [sys.executable, "-m", "ruff", *command, *settings]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("guide")
@pytest.mark.parametrize("project", PROJECTS)
def test_a_plugin_keeps_to_the_contract(project: str) -> None:
    host = make_host()
    (spec,) = find_components(host, project)
    results = {result.check: result for result in check_component(host, spec)}
    assert [result for result in results.values() if result.outcome in {"failed", "declared"}] == []
    skipped = {name for name, result in results.items() if result.outcome == "not applicable"}
    assert skipped == ({"geometry"} if spec.kind == "dataset" else set())


def test_the_three_train_together(guide: Path) -> None:
    small: dict[str, object] = {"train.steps": 2, "train.batch_size": 2, "train.workers": 0, "evaluation.every": 2}
    small |= {"dataset.cache": "cache", "sample.generate.train": 4, "sample.generate.validation": 2}
    run = medvid.run(guide, small, sample=True)
    assert run.summary["status"] == "finished"
    names = [run.task().dataset.name, run.task().backbone.name, run.task().head.name]
    assert names == ["arrays", "pyramid", "focal"]
    assert (
        len(list(run.folder.path.glob("figures/*.png"))) == 3
    )  # the confusion matrix, and a sheet for each of two cases


def test_the_lines_for_a_task_fit_into_one(guide: Path) -> None:
    blocks = [parse_file(text, "fragment.yaml").data for text in FRAGMENTS]
    ours = {kind: block[kind] for block in blocks for kind in PROJECTS.values() if kind in block}
    assert [ours[kind]["name"] for kind in PROJECTS.values()] == ["pyramid", "focal", "arrays"]
    values = {f"{kind}.{name}": value for kind, block in ours.items() for name, value in block.items()}
    task: Any = load_task(guide, make_host(), overrides=values | {"dataset.if_missing": "error"})
    assert (task.dataset.root, task.dataset.input_info().size) == (Path("/data/mine"), (64, 64))
    assert (task.backbone.width, task.head.hidden_dim, task.head.loss.gamma) == (48, 64, 1.5)


@pytest.mark.usefixtures("guide")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_loss_without_focus_is_cross_entropy(smoothing: float) -> None:
    head, config = (importlib.import_module(f"medvid_focal.{name}") for name in ("head", "config"))
    logits, ids = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
    cross_entropy = torch.nn.functional.cross_entropy(logits, ids, label_smoothing=smoothing)

    def loss(gamma: float, target: torch.Tensor) -> torch.Tensor:
        options = config.FocalOptions(loss={"gamma": gamma, "label_smoothing": smoothing})
        infos = FeatureInfo(embedding=4), InputInfo("image", 1, (8, 8)), TargetInfo("classification", ("a", "b", "c"))
        found: torch.Tensor = head.Focal(options, *infos).loss(logits, target)["loss"]
        return found

    torch.testing.assert_close(loss(0, ids), cross_entropy)
    torch.testing.assert_close(loss(0, torch.nn.functional.one_hot(ids).float()), cross_entropy)
    assert loss(2, ids) < loss(1, ids) < cross_entropy


def _lines_of_code(text: str) -> int:
    """Lines that hold code: neither blank, comments nor docstrings."""
    tree = ast.parse(text)
    strings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and number not in strings for number, line in lines)


def _install(third_party: Any, project: Path) -> None:
    """Put a project into site-packages, as pip would install its wheel."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    third_party.install(about["name"], "").unlink()
    package = project.name.replace("-", "_")
    info = third_party.folder / f"{package}-1.0.dist-info"
    points = [f"{name} = {module}\n" for name, module in about["entry-points"]["medvid.plugins"].items()]
    (info / "entry_points.txt").write_text("[medvid.plugins]\n" + "".join(points))
    with (info / "METADATA").open("a") as file:
        file.writelines(f"Requires-Dist: {requirement}\n" for requirement in about["dependencies"])
    copy = shutil.copytree(project / "src" / package, third_party.folder / package)
    files = [*info.glob("[Me]*"), *copy.rglob("*.py")]
    record = "".join(f"{path.relative_to(third_party.folder)},{_hash(path)},\n" for path in files)
    (info / "RECORD").write_text(record)
    importlib.invalidate_caches()


def _hash(path: Path) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
