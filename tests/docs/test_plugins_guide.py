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
from medvid.plugin import TargetInfo
from medvid.plugin.host import make_host
from medvid.testing import check_component, find_components

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"^```(python|yaml)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")
"""The first line of a block that is a file."""
FILES = {match[1]: text for _, text in BLOCKS if (match := NAMED.match(text))}
WRITTEN = re.compile(r'# (\w+\.py), as "platform plugins new (\S+) --kind (\w+)" writes it\n(.*)', re.DOTALL)
"""A block that shows what a command writes."""
FRAGMENTS = [text for kind, text in BLOCKS if kind == "yaml" and not NAMED.match(text)]
NEW = {"task.yaml", "medvid-poly/src/medvid_poly/loss.py"}
"""Files that the reader adds to those that the commands write."""
PROJECTS = {"medvid-pyramid": "backbone", "medvid-poly": "head", "medvid-arrays": "dataset"}


@pytest.fixture
def guide(third_party: Any, working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a reader who has followed the guide up to the training; returns the task."""
    for project, kind in PROJECTS.items():
        assert main(["plugins", "new", project, "--kind", kind]) == 0
    for path, text in FILES.items():
        assert Path(path).exists() != (path in NEW), path
        Path(path).write_text(text)
    for project in PROJECTS:
        _install(third_party, Path(project))
    monkeypatch.setenv("MEDVID_PLUGINS", str(third_party.allow(*PROJECTS)))
    return working_directory / "task.yaml"


@pytest.mark.parametrize("project", PROJECTS)
def test_a_plugin_is_as_short_as_the_guide_says(project: str) -> None:
    lines = {Path(path).name: _lines_of_code(text) for path, text in FILES.items() if path.startswith(f"{project}/")}
    lines.pop("demo.py", None)  # the data is no part of the plugin's own code
    code = {"dataset": ["data.py"], "backbone": ["model.py"], "head": ["head.py", "loss.py"]}[PROJECTS[project]]
    assert [*lines] == ["plugin.py", "config.py", *code]
    assert sum(lines.values()) < 45 + 15 * len(code)


def test_the_guide_shows_what_the_commands_write(working_directory: Path) -> None:
    shown = [match.groups() for _, text in BLOCKS if (match := WRITTEN.match(text))]
    assert [kind for _, _, kind, _ in shown] == ["transform", "optimizer", "protocol", "format", "launcher"]
    for file, project, kind, text in shown:
        assert main(["plugins", "new", project, "--kind", kind]) == 0
        (written,) = (working_directory / project).rglob(file)
        assert written.read_text() == text


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
    specs = find_components(host, project)
    assert [spec.kind for spec in specs] == {"medvid-poly": ["head", "loss"]}.get(project, [PROJECTS[project]])
    for spec in specs:
        results = {result.check: result for result in check_component(host, spec)}
        assert [result for result in results.values() if result.outcome in {"failed", "declared"}] == []
        skipped = {name for name, result in results.items() if result.outcome == "not applicable"}
        assert skipped == ({"geometry", "probabilities"} if spec.kind == "dataset" else set())


def test_the_three_train_together(guide: Path) -> None:
    small: dict[str, object] = {"train.steps": 2, "train.batch_size": 2, "train.workers": 0, "evaluation.every": 2}
    small |= {"dataset.cache": "cache", "demo.generate.train": 4, "demo.generate.validation": 2}
    run = medvid.run(guide, small, demo=True)
    assert run.summary["status"] == "finished"
    names = [run.task().dataset.name, run.task().backbone.name, run.task().head.name]
    assert names == ["arrays", "pyramid", "two_layers"]
    sheets = {"validation%2F0.png", "validation%2F1.png"}
    curves = {"roc.png", "precision_recall.png", "calibration.png"}
    assert {path.name for path in run.folder.path.glob("figures/*.png")} == {"confusion.png"} | curves | sheets


def test_the_lines_for_a_task_fit_into_one(guide: Path) -> None:
    blocks = [parse_file(text, "fragment.yaml").data for text in FRAGMENTS]
    ours = {kind: block[kind] for block in blocks for kind in PROJECTS.values() if kind in block}
    assert [ours[kind]["name"] for kind in PROJECTS.values()] == ["pyramid", "two_layers", "arrays"]
    values = {f"{kind}.{name}": value for kind, block in ours.items() for name, value in block.items()}
    task: Any = load_task(guide, make_host(), overrides=values | {"dataset.if_missing": "error"})
    assert (task.dataset.root, task.dataset.input_info().size) == (Path("/data/mine"), (64, 64))
    assert (task.backbone.width, task.head.hidden_dim, task.head.loss.epsilon) == (48, 64, 1.5)


@pytest.mark.usefixtures("guide")
def test_polyloss_without_its_term_is_cross_entropy() -> None:
    poly, config = (importlib.import_module(f"medvid_poly.{name}") for name in ("loss", "config"))
    logits, ids = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
    cross_entropy, info = torch.nn.functional.cross_entropy(logits, ids), TargetInfo("case", "class", ("a", "b", "c"))

    def loss(epsilon: float, target: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = poly.Poly(config.PolyOptions(epsilon=epsilon), info)(logits, target)["loss"]
        return found

    torch.testing.assert_close(loss(0, ids), cross_entropy)
    torch.testing.assert_close(loss(0, torch.nn.functional.one_hot(ids).float()), cross_entropy)
    assert loss(2, ids) > loss(1, ids) > cross_entropy


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
