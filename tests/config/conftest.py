"""A host with toy components, and a task made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest

from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.evaluation import plugin as protocols
from medvid.losses import plugin as losses
from medvid.plugin import BackboneSpec, ComponentSpec, DatasetSpec, HeadSpec, hookspecs
from medvid.plugin.allowlist import AllowList
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.host import Host
from medvid.training.optimizers import plugin as optimizers

TASK = (Path(__file__).parent / "toy.yaml").read_text()


def _spec(kind: type, name: str, options: str, **more: Any) -> Any:
    return kind(name=name, target=f"toy_code:{options}", config=f"toy_components:{options}Options", **more)


SPECS = (
    _spec(BackboneSpec, "net", "Net", axes=("volume",), features=("maps",)),
    _spec(BackboneSpec, "othernet", "OtherNet", axes=("volume", "video"), features=("embedding",)),
    _spec(BackboneSpec, "flat", "Net", axes=("image",), features=("maps", "embedding")),
    _spec(BackboneSpec, "both", "Net", axes=("image", "volume"), features=("maps", "embedding")),
    _spec(BackboneSpec, "clumsy", "Clumsy", axes=("volume",), features=("maps",)),
    _spec(BackboneSpec, "gone", "Gone", axes=("volume",), features=("maps",)),
    _spec(BackboneSpec, "unfit", "No", axes=("volume",), features=("maps",)),
    _spec(HeadSpec, "pixel", "Pixel", where="voxel", needs=("maps",), axes=("volume",)),
    _spec(HeadSpec, "pooled", "Pixel", where="case", needs=("maps", "embedding")),
    _spec(HeadSpec, "still", "Pixel", where="case", needs=("maps", "embedding"), axes=("image",)),
    _spec(
        DatasetSpec, "scans", "Scans", axes="volume", where="voxel", what=("class",),
        demo="toy_code:generate", demo_config="toy_components:PhantomOptions",
    ),
    _spec(DatasetSpec, "clips", "Clips", axes="video", where="case", what=("class",)),
    *losses.medvid_components(),
    *optimizers.medvid_components(),
    *protocols.medvid_components(),
)  # fmt: skip


@pytest.fixture
def make_toy_host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """Make a host of toy components, leaving some out."""
    monkeypatch.syspath_prepend(Path(__file__).parent)

    def make(*without: str, more: tuple[ComponentSpec, ...] = ()) -> Host:
        manager = pluggy.PluginManager("medvid")
        manager.add_hookspecs(hookspecs)
        specs = tuple(spec for spec in (*SPECS, *more) if spec in more or spec.name not in without)
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
