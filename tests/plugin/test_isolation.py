"""What is not listed is never imported, and what is listed but has no part in a run does not change it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import medvid
from medvid.cli.main import main
from medvid.files import read_json
from medvid.plugin.allowlist import VARIABLE
from medvid.runs.folder import RunFolder, read_metrics
from medvid.tracking.content import tags
from medvid.tracking.sync import read_run

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"

NOISY = """
import logging, os, random, signal, warnings
import numpy, torch
from medvid.plugin import BackboneSpec, hookimpl

print("hello from an idle plugin")
random.seed(0)
numpy.random.seed(0)
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(torch.get_num_threads() + 1)
torch.use_deterministic_algorithms(True)
torch.set_default_device("meta")
torch.backends.mkldnn.enabled = False
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:////elsewhere.db"
logging.disable(logging.CRITICAL)
os.chdir("/")
warnings.simplefilter("ignore")
signal.signal(signal.SIGTERM, signal.SIG_IGN)

@hookimpl
def medvid_components():
    yield BackboneSpec(name="idle", target="no.such:Net", config="no.such:Options", axes=(), features=())
"""

LISTENER = """
import logging, random, torch
from medvid.plugin import hookimpl

@hookimpl
def medvid_metrics(step):
    random.seed(step)
    torch.manual_seed(step)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.backends.mkldnn.enabled = False
    logging.getLogger("medvid").handlers.clear()
"""


def run() -> Path:
    return medvid.run(TINY).folder.path


def content(folder: Path) -> dict[str, Any]:
    """What has to be the same in two runs, to the bit: weights, figures, predictions."""
    newest = max((folder / "checkpoints").iterdir())
    rows = [
        {key: value for key, value in row.items() if key != "time"} for row in read_metrics(folder / "metrics.jsonl")
    ]
    return {
        "tensors": {file.name: load_file(file) for file in newest.glob("*.safetensors")},
        "rows": [row for row in rows if row["split"] != "perf"],
        "cases": (folder / "cases.csv").read_text(),
        "predictions": {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()},
    }


def assert_equal(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    files = {name: list(tensors) for name, tensors in wanted["tensors"].items()}
    assert {name: list(tensors) for name, tensors in found["tensors"].items()} == files
    assert sum(map(len, files.values())) > 10
    for name, tensors in wanted["tensors"].items():
        for key, tensor in tensors.items():
            assert found["tensors"][name][key].dtype == tensor.dtype
            assert torch.equal(found["tensors"][name][key], tensor), f"{name}: {key}"
    for part in ("rows", "cases", "predictions"):
        assert found[part] == wanted[part]
        assert wanted[part]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> dict[str, Any]:
    """The content of a run without third-party plugins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("alone"))
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return content(run())


@pytest.mark.usefixtures("working_directory")
def test_an_idle_plugin_changes_nothing(
    third_party: Any, alone: Mapping[str, Any], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    third_party.install("noisy", NOISY)
    shutil.copy(third_party.allow(), "plugins.toml")
    folder = run()
    assert_equal(content(folder), alone)
    told = next(message for message in caplog.messages if message.startswith("plugin noisy of noisy 1.0 changed"))
    names = "the log", "oneDNN", "torch's default dtype", "torch's default device", "number of threads", "SIGTERM"
    for name in (*names, "the working directory", "environment variables"):
        assert name in told
    assert "finished in" in (folder / "run.log").read_text()
    assert "hello from an idle plugin" not in capsys.readouterr().out
    # It has no part in the run, so the run does not name it.
    assert set(read_json(folder / "environment.json")["plugins"]) == {"medvid"}


@pytest.mark.usefixtures("working_directory")
def test_a_listener_changes_nothing_either_and_is_recorded(
    third_party: Any, alone: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    third_party.install("listener", LISTENER, version="2.5")
    info = third_party.folder / "listener-2.5.dist-info"
    (info / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    shutil.copy(third_party.allow(), "plugins.toml")
    folder = run()
    assert_equal(content(folder), alone)
    for name in ("environment.json", "summary.json"):
        recorded = json.loads((folder / name).read_text())
        assert set(recorded["plugins"].items()) > {("listener", "2.5")}
        assert set(recorded["plugins"]) == {"medvid", "listener"}
        assert recorded["unverified_plugins"] == ["listener"]
    assert tags(read_run(RunFolder(folder)))["plugins.unverified"] == "listener"
    assert "UNVERIFIED CODE - editable: listener 2.5;" in capsys.readouterr().out
    log = (folder / "run.log").read_text()
    assert "in medvid_metrics: changed the log, torch's default device, torch's default dtype, oneDNN;" in log
    assert "finished in" in log


@pytest.mark.usefixtures("working_directory")
def test_what_is_not_listed_is_never_imported(third_party: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    third_party.install("evil", f"open({str(trace)!r}, 'w').close()")
    third_party.install("fine", "")
    task = shutil.copy(TINY, tmp_path)
    commands = [
        ["--help"], ["plugins", "--help"], ["plugins", "list"], ["plugins", "list", "--json"],
        ["plugins", "show", "evil"], ["plugins", "show", "unetr"],
        ["check", str(task)], ["schema"], ["plugins", "new", "medvid-other"],
        ["plugins", "add", "fine"], ["plugins", "lock"], ["plugins", "list"], ["plugins", "remove", "fine"],
    ]  # fmt: skip
    assert [main(command) for command in commands] == [0] * len(commands)
    assert main(["check", str(task), "--set", "backbone.name=evil"]) == 3
    medvid.run(task)
    assert not trace.exists()
    main(["plugins", "add", "evil"])
    assert trace.exists()  # so it would have told


def test_a_task_cannot_enable_a_plugin_or_name_code(third_party: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Nor does an allow-list count that lies with the data."""
    trace = tmp_path / "trace"
    third_party.install("evil", f"open({str(trace)!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(third_party.allow("evil"), data / "plugins.toml")
    text = TINY.read_text().replace("root: absent", f"root: {data}")
    for added in ("plugins: [evil]", "module: evil", "_target_: evil.run"):
        (data / "task.yaml").write_text(f"{text}\n{added}\n")
        assert main(["check", str(data / "task.yaml")]) == 2
    for name in ("evil", "evil:Net", "../evil.py"):
        (data / "task.yaml").write_text(text.replace("name: unetr,", f"name: {name!r},"))
        assert main(["check", str(data / "task.yaml")]) in (2, 3)
    assert not trace.exists()


MEDDLER = """
import logging, torch
from medvid.plugin import hookimpl

torch.backends.mkldnn.enabled = False
torch.set_default_device("meta")
logging.disable(logging.CRITICAL)

@hookimpl
def medvid_run_finished(run, result): ...
"""

PROGRAM = """
import sys
from medvid.plugin.host import make_host
assert "torch" not in sys.modules
host = make_host()
import torch
print(torch.backends.mkldnn.enabled, torch.zeros(1).device)
"""


def test_a_plugin_that_brings_torch_does_not_set_it_for_others(third_party: Any, tmp_path: Path) -> None:
    third_party.install("meddler", MEDDLER)
    environment = os.environ | {VARIABLE: str(third_party.allow())}
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert shown.stdout == "True cpu\n"
    assert "plugin meddler of meddler 1.0 changed the log, torch's default device, oneDNN on import" in shown.stderr
