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
    best_step,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    newest_intact,
    prune_checkpoints,
    save_checkpoint,
    tidy_checkpoints,
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


def test_looking_for_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, make(3.0))
    draft = save_checkpoint(tmp_path, 4, make(4.0)).rename(tmp_path / ".step-00000004-0123456789abcdef.draft")
    assert newest_intact(tmp_path) == path
    assert draft.exists()
    tidy_checkpoints(tmp_path)
    assert checkpoints(tmp_path) == list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["step-abc", "step-00000009 (copy)", "step-9"])
def test_folders_of_other_names_are_not_looked_at(tmp_path: Path, name: str) -> None:
    path = save_checkpoint(tmp_path, 3, make(3.0))
    (tmp_path / name).mkdir()
    assert newest_intact(tmp_path) == path


def test_a_checkpoint_under_the_name_of_another_step_is_not_used(tmp_path: Path) -> None:
    def at(step: int) -> Checkpoint:
        return Checkpoint({"model": {}}, {"progress": {"best_step": None, "step": step}})

    path = save_checkpoint(tmp_path, 3, at(3))
    save_checkpoint(tmp_path, 2, at(2)).rename(tmp_path / "step-00000009")
    assert newest_intact(tmp_path) == path


def test_files_that_the_manifest_does_not_name_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save_checkpoint(tmp_path, 3, make(3.0))
    other = save_checkpoint(tmp_path / "other", 3, make(4.0))
    (other / "model.safetensors").rename(path / "ema.safetensors")
    assert load_checkpoint(path).tensors.keys() == {"model", "optimizer"}
    assert "ema.safetensors" in caplog.text


def test_the_best_is_known_though_the_newest_has_damaged_weights(tmp_path: Path) -> None:
    def with_best(best: int) -> Checkpoint:
        return Checkpoint(make(1.0).tensors, {"progress": {"best_step": best}})

    save_checkpoint(tmp_path, 1, with_best(1))
    newest = save_checkpoint(tmp_path, 2, with_best(2))
    (newest / "model.safetensors").write_bytes(b"")
    assert best_step(tmp_path) == 2
    (newest / "state.json").write_bytes(b"\xff")
    assert best_step(tmp_path) == 1


def test_every_flip_of_a_bit_in_a_manifest_is_found_or_means_nothing(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, Checkpoint({"model": {"w": torch.ones(2)}}, {"progress": {"best_step": None}}))
    content = (path / "manifest.json").read_bytes()
    for bit in range(0, 8 * len(content), 9):  # each byte, and each of its bits somewhere
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (path / "manifest.json").write_bytes(flipped)
        try:
            loaded = load_checkpoint(path)
        except CheckpointError:
            continue
        assert torch.equal(loaded.tensors["model"]["w"], torch.ones(2))


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, make(step))
    (tmp_path / ".step-00000009-0123456789abcdef.draft").mkdir()
    prune_checkpoints(tmp_path, keep=2, best=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000001", "step-00000004", "step-00000005"]
    assert len(list(tmp_path.iterdir())) == 3


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
