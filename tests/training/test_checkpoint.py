import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medvid.errors import CheckpointError, ResourceError
from medvid.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    newest_intact,
    prune_checkpoints,
    save_checkpoint,
)


def make(value: float) -> Checkpoint:
    tensors = {"model": {"weight": torch.full((64, 64), value)}, "optimizer": {}}
    return Checkpoint(tensors=tensors, state={"progress": {"best_step": None}, "value": value})


def test_round_trip(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 7, make(3.0))
    loaded = load_checkpoint(path)
    assert path == checkpoint_path(tmp_path, 7)
    assert torch.equal(loaded.tensors["model"]["weight"], torch.full((64, 64), 3.0))
    assert loaded.tensors["optimizer"] == {}
    assert loaded.state["value"] == 3.0


def test_channels_last_weights_come_back_with_the_same_values(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    path = save_checkpoint(tmp_path, 1, Checkpoint(tensors={"model": {"weight": weight}}, state={}))
    assert torch.equal(load_checkpoint(path).tensors["model"]["weight"], weight)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete", "manifest"])
def test_damage_is_found_and_the_previous_one_is_used(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = save_checkpoint(tmp_path, 1, make(1.0))
    bad = save_checkpoint(tmp_path, 2, make(2.0))
    file = bad / ("manifest.json" if damage == "manifest" else "model.safetensors")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    match damage:
        case "flip":
            file.write_bytes(content)
        case "truncate" | "manifest":
            file.write_bytes(content[: len(content) // 2])
        case "empty":
            file.write_bytes(b"")
        case "delete":
            file.unlink()
    assert newest_intact(tmp_path) == good
    assert "step-00000002" in caplog.text
    with pytest.raises(CheckpointError):
        load_checkpoint(bad)


def test_no_intact_checkpoint_is_an_error_and_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest_intact(tmp_path / "absent") is None
    path = save_checkpoint(tmp_path, 1, make(1.0))
    (path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        newest_intact(tmp_path)


def test_a_save_killed_before_the_rename_is_completed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, make(3.0))
    path.rename(tmp_path / f".{path.name}.draft")
    assert newest_intact(tmp_path) == path
    incomplete = save_checkpoint(tmp_path, 4, make(4.0)).rename(tmp_path / ".step-00000004.draft")
    (incomplete / "manifest.json").unlink()
    assert newest_intact(tmp_path) == path


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, make(step))
    (tmp_path / ".step-00000009.draft").mkdir()
    prune_checkpoints(tmp_path, keep=2, best=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000001", "step-00000004", "step-00000005"]
    assert not (tmp_path / ".step-00000009.draft").exists()


def test_a_full_disk_is_said_plainly_and_damages_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the full disk: the operating system refuses to write on."""
    program = """
import resource, signal, sys, torch
from pathlib import Path
from medvid.errors import ResourceError
from medvid.training.checkpoint import Checkpoint, load_checkpoint, newest_intact, save_checkpoint
folder = Path(sys.argv[1])
small = Checkpoint(tensors={"model": {"w": torch.ones(8)}}, state={})
save_checkpoint(folder, 1, small)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save_checkpoint(folder, 2, Checkpoint(tensors={"model": {"w": torch.ones(100_000)}}, state={}))
except ResourceError as error:
    print(error)
assert newest_intact(folder).name == "step-00000001"
assert [path.name for path in folder.iterdir()] == ["step-00000001"]
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert "cannot save the checkpoint of step 2" in done.stdout
    assert "MiB are free" in done.stdout


def test_killed_at_any_moment_the_newest_checkpoint_is_intact(tmp_path: Path) -> None:
    """Kill a process that does nothing but save, at moments spread over its saves."""
    program = """
import sys, torch
from pathlib import Path
from medvid.training.checkpoint import Checkpoint, prune_checkpoints, save_checkpoint
folder, value = Path(sys.argv[1]), torch.ones(200_000)
for step in range(1, 100_000):
    save_checkpoint(folder, step, Checkpoint(tensors={"model": {"w": value * step}}, state={"step": step}))
    prune_checkpoints(folder, keep=1, best=None)
    print(step, flush=True)
"""
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        with subprocess.Popen(
            [sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout
            for _ in range(attempt + 1):
                reported = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
        newest = newest_intact(folder)
        assert newest is not None
        step = json.loads((newest / "state.json").read_text())["step"]
        assert step >= reported
        assert torch.equal(load_checkpoint(newest).tensors["model"]["w"], torch.full((200_000,), float(step)))


def test_an_unwritable_place_is_a_resource_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ResourceError):
        save_checkpoint(file, 1, make(1.0))
