import base64
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from medvid.plugin.allowlist import VARIABLE, AllowList, write_allow_list
from medvid.plugin.discovery import discover, pin
from medvid.plugin.markers import ENTRY_POINT_GROUP

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
pytest.register_assert_rewrite("tests.parity.recorded")
# Time is never what is tested. Where changes are judged, the same examples are tried each time.
settings.register_profile("medvid", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("medvid"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "medvid")


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


OBSERVER = """
from medvid.plugin import hookimpl

@hookimpl
def medvid_run_finished(run, result): ...
"""


class ThirdParty:
    """A folder on the module path that holds distributions as pip installs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins_file = folder / "plugins.toml"

    def install(self, name: str, source: str, *, version: str = "1.0") -> Path:
        """Install a distribution of one module, which is its plugin; both are named like it. Returns the module.

        Without a source it is a plugin that observes the end of runs and does nothing.
        """
        module = self.folder / f"{name.replace('-', '_')}.py"
        module.write_text(source or OBSERVER)
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


class Films:
    """Writes small videos whose frames show their number."""

    @staticmethod
    def numbered(count: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
        """Frames (T, H, W, 3): tens on the left, ones on the right, each as a shade of gray."""
        frames = np.empty((count, *size, 3), np.uint8)
        for number, frame in enumerate(frames):
            frame[:, : size[1] // 2] = 25 + 20 * (number // 10)
            frame[:, size[1] // 2 :] = 25 + 20 * (number % 10)
        return frames

    @staticmethod
    def numbers(frames: np.ndarray) -> list[int]:
        """What frames (T, H, W, 3) show, which may be shrunk or cut at the top and bottom."""
        quarter = frames.shape[2] // 4
        columns = frames[:, :, [quarter, 3 * quarter]].astype(float).mean(axis=(1, 3))
        digits = ((columns - 25) / 20).round().astype(int)
        return (10 * digits[:, 0] + digits[:, 1]).tolist()

    @staticmethod
    def write(
        path: Path,
        frames: np.ndarray,
        *,
        fps: int | Fraction = 30,
        times: Sequence[int] | None = None,
        codec: str = "libx264",
        gop: int = 12,
        faststart: bool = False,
    ) -> Path:
        """Encode frames.

        Args:
            path: the file; its ending decides on the container.
            frames: (T, H, W, 3) uint8.
            fps: frames per second.
            times: of the frames, in milliseconds, if they are not evenly spaced.
            codec: of FFmpeg.
            gop: frames from one key frame to the next.
            faststart: put the index first.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        quality = {"crf": "12", "sc_threshold": "0"} if codec == "libx264" else {}
        options = {"movflags": "faststart"} if faststart else {}
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=fps, options={"g": str(gop), "threads": "1", **quality})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for number, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                if times is not None:
                    picture.pts, picture.time_base = times[number], Fraction(1, 1000)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    @staticmethod
    def rotate(path: Path, degrees: int) -> Path:
        """Tell players of an MP4 file to turn it clockwise, as phones do."""
        turn = {90: (0, 1, 0, -1, 0, 0), 180: (-1, 0, 0, 0, -1, 0), 270: (0, -1, 0, 1, 0, 0)}[degrees]
        content = bytearray(path.read_bytes())
        matrix = content.index(b"tkhd") + 44
        values = [value << 16 for value in (*turn, 0, 0)] + [1 << 30]
        content[matrix : matrix + 36] = b"".join(value.to_bytes(4, signed=True) for value in values)
        path.write_bytes(content)
        return path

    @staticmethod
    def silent_picture(path: Path) -> Path:
        """A file with sound only."""
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=16000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
            sound.sample_rate = 16000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
        return path


@pytest.fixture(scope="session")
def films() -> type[Films]:
    """Writing small videos."""
    return Films
