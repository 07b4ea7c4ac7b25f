"""Two GPUs train as one does on twice the batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.gpu.small import ACCELERATOR

from medvid.runs.folder import RunFolder, read_metrics

pytestmark = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


def run(folder: Path, devices: int, batch_size: int) -> RunFolder:
    settings = {
        "accelerator": ACCELERATOR,
        "devices": devices,
        "batch_size": batch_size,
        "precision": "fp32",
        "log_every": 1,
    }
    command = [sys.executable, "-m", "medvid", "run", str(TINY), "--set", "backbone.dropout_rate=0"]
    command += [part for key, value in settings.items() for part in ("--set", f"train.{key}={value}")]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    [found] = (folder / "runs" / "tiny").iterdir()
    return RunFolder(found)


def test_two_devices_train_as_one_does_on_twice_the_batch(tmp_path: Path) -> None:
    folders = []
    for devices in (2, 1):
        (tmp_path / str(devices)).mkdir()
        folders.append(run(tmp_path / str(devices), devices, batch_size=2 // devices))
    losses = [
        [row["values"]["loss"] for row in read_metrics(folder.metrics) if row["split"] == "train"] for folder in folders
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    both, one = (load_file(folder.checkpoints / "step-00000007" / "model.safetensors") for folder in folders)
    for name, tensor in one.items():
        torch.testing.assert_close(
            both[name], tensor, rtol=1e-2, atol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )
