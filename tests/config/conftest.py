"""A host with toy components, and a task made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest

from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.plugin import BackboneSpec, DatasetSpec, HeadSpec, hookspecs
from medvid.plugin.allowlist import AllowList
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.host import Host

TASK = (Path(__file__).parent / "toy.yaml").read_text()


def _spec(kind: type, name: str, options: str, **more: Any) -> Any:
    return kind(name=name, target=f"toy_code:{options}", config=f"toy_components:{options}Options", **more)


SPECS = (
    _spec(BackboneSpec, "net", "Net", layouts=("volume",), features=("maps",)),
    _spec(BackboneSpec, "othernet", "OtherNet", layouts=("volume", "video"), features=("embedding",)),
    _spec(BackboneSpec, "flat", "Net", layouts=("image",), features=("maps", "embedding")),
    _spec(BackboneSpec, "both", "Net", layouts=("image", "volume"), features=("maps", "embedding")),
    _spec(BackboneSpec, "clumsy", "Clumsy", layouts=("volume",), features=("maps",)),
    _spec(BackboneSpec, "gone", "Gone", layouts=("volume",), features=("maps",)),
    _spec(BackboneSpec, "unfit", "No", layouts=("volume",), features=("maps",)),
    _spec(HeadSpec, "pixel", "Pixel", task="segmentation", needs=("maps",), layouts=("volume",)),
    _spec(HeadSpec, "pooled", "Pixel", task="classification", needs=("maps", "embedding")),
    _spec(HeadSpec, "still", "Pixel", task="classification", needs=("maps", "embedding"), layouts=("image",)),
    _spec(
        DatasetSpec, "scans", "Scans", layout="volume", task="segmentation",
        sample="toy_code:generate", sample_config="toy_components:PhantomOptions",
    ),
    _spec(DatasetSpec, "clips", "Clips", layout="video", task="classification"),
)  # fmt: skip


@pytest.fixture
def make_toy_host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """Make a host of toy components, leaving some out."""
    monkeypatch.syspath_prepend(Path(__file__).parent)

    def make(*without: str) -> Host:
        manager = pluggy.PluginManager("medvid")
        manager.add_hookspecs(hookspecs)
        specs = tuple(spec for spec in SPECS if spec.name not in without)
        return Host(AllowList(), manager, (PluginStatus("toy", "toy", "1.0", "enabled", components=specs),))

    return make


@pytest.fixture
def host(make_toy_host: Callable[..., Host]) -> Host:
    return make_toy_host()


@pytest.fixture
def load(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Load a task file of this text, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def write_and_load(text: str = TASK, **options: Any) -> Task:
        Path("task.yaml").write_text(text)
        return load_task(Path("task.yaml"), host, **options)

    return write_and_load
