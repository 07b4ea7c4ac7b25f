import base64
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvid.plugin.allowlist import VARIABLE, AllowList, write_allow_list
from medvid.plugin.discovery import discover, pin
from medvid.plugin.markers import ENTRY_POINT_GROUP

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow store for all tests that run tasks: creating one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def working_directory(tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, with runs tracked in the tests' own store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    monkeypatch.delenv("BTCV_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class ThirdParty:
    """A folder on the module path that holds distributions as pip installs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins_file = folder / "plugins.toml"

    def install(self, name: str, source: str, *, version: str = "1.0") -> Path:
        """Install a distribution of one module, which is its plugin; both are named like it. Returns the module."""
        module = self.folder / f"{name.replace('-', '_')}.py"
        module.write_text(source)
        info = self.folder / f"{module.stem}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {module.stem}\n")
        digest = base64.urlsafe_b64encode(hashlib.sha256(module.read_bytes()).digest()).rstrip(b"=").decode()
        (info / "RECORD").write_text(f"{module.name},sha256={digest},{module.stat().st_size}\n{info.name}/RECORD,,\n")
        importlib.invalidate_caches()
        return module

    def allow(self, *names: str) -> Path:
        """Write an allow-list of installed distributions; without names, of all."""
        found = [plugin for plugin in discover(AllowList()) if plugin.status == "installed, not enabled"]
        pins = tuple(pin(plugin) for plugin in found if not names or plugin.distribution in names)
        write_allow_list(self.plugins_file, pins, ())
        return self.plugins_file


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThirdParty]:
    """Third-party plugins, for this process and those it starts."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module rewritten within a second would not be re-read
    yield ThirdParty(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]
