"""A run folder as the core writes it, and an MLflow store that is created once and copied for every test."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from medvid.files import write_json
from medvid.plugin import hookspecs
from medvid.plugin.events import RunInfo
from medvid.runs.folder import RunFolder, append_metrics
from medvid.tracking import mlflow as tracking
from medvid.tracking import worker

CONFIG: dict[str, Any] = {
    "name": "unetr_btcv",
    "seed": 7,
    "dataset": {"name": "btcv", "root": "data/btcv", "spacing": [1.5, 1.5, 2.0], "api_key": "canary-in-config"},
    "backbone": {"name": "unetr", "hidden_size": 96, "weights": None},
    "head": {"name": "unetr_decoder"},
    "train": {"steps": 40, "optimizer": {"name": "adamw", "lr": 1e-4}, "channels_last": True},
    "evaluation": {"every": 20, "split": "validation"},
    "tracking": {"experiment": "abdomen", "tags": {"lab": "ours"}},
}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creating the tables takes seconds, copying them does not."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}")
    return file


@pytest.fixture
def workdir(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: it holds an MLflow store and will hold the runs."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def client(workdir: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{workdir / 'mlflow.db'}")


@pytest.fixture
def make_run(workdir: Path) -> Callable[..., RunInfo]:
    """Write a run folder with what the core has written when training starts, and return what hooks are told."""

    def make(name: str = "unetr-s7", *, config: dict[str, Any] = CONFIG, **changes: Any) -> RunInfo:
        folder = RunFolder(workdir / "runs" / "unetr_btcv" / name)
        run = RunInfo(
            name=name,
            task=config["name"],
            folder=folder.path,
            config=config,
            seed=config["seed"],
            demo=False,
            start_step=0,
            steps=40,
            device="1 x CPU (fp32)",
            plugins={"medvid": "0.1.0"},
            environment={"git": {"commit": "c0ffee", "branch": "main", "dirty": True}, "plugins": {"medvid": "0.1.0"}},
            datasets={
                "train": {"name": "btcv", "cases": 24, "digest": "a" * 32},
                "validation": {"name": "btcv", "cases": 6, "digest": "b" * 32},
            },
        )
        folder.path.mkdir(parents=True)
        YAML().dump(config, folder.resolved)
        folder.original.write_text("# the user's own task\npassword: canary-in-task\n")
        write_json(folder.environment, run.environment)
        write_json(folder.data, run.datasets)
        return replace(run, **changes)

    return make


@pytest.fixture
def run(make_run: Callable[..., RunInfo]) -> RunInfo:
    return make_run()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[pluggy.HookRelay]:
    """The tracking plugin, called as the host calls it, and not as patient as in use."""
    monkeypatch.setattr(worker, "INTERVAL", 0.1)
    monkeypatch.setattr(worker, "RETRY", 0.2)
    manager = pluggy.PluginManager("medvid")
    manager.add_hookspecs(hookspecs)
    manager.register(tracking)
    manager.check_pending()
    yield manager.hook
    assert not tracking._threads, "a run was left open"


def train(run: RunInfo, first: int, last: int) -> None:
    """Write the metrics of steps as the core does: training figures every 10, a validation every 20."""
    file = RunFolder(run.folder).metrics
    for step in range(first, last + 1, 10):
        append_metrics(file, step, "train", {"loss": 1 / step, "lr": 1e-4})
        append_metrics(file, step, "perf", {"step_time": 0.5, "data_time": 0.01})
        if step % 20 == 0:
            append_metrics(file, step, "validation", {"dice": step / 100, "dice/left kidney": 0.5, "hd95@2": 3.0})


def close(run: RunInfo, status: str = "finished", step: int = 40) -> None:
    """Write what the core writes at the end."""
    folder = RunFolder(run.folder)
    summary = (
        {"status": status, "metrics": {"dice": 0.41, "hd95_mm": None}, "step": step} if status == "finished" else {}
    )
    checkpoints = {"best": "checkpoints/step-00000040", "last": "checkpoints/step-00000040"}
    write_json(folder.summary, {"status": status, **checkpoints, **summary})
    folder.cases.write_text("case,label,dice\n0001,liver,0.9\n")
    (folder.path / "figures").mkdir(exist_ok=True)
    (folder.path / "figures" / "0001.png").write_bytes(b"\x89PNG")


@pytest.fixture(name="train")
def train_fixture() -> Callable[..., None]:
    return train


@pytest.fixture(name="close")
def close_fixture() -> Callable[..., None]:
    return close
