"""Planned tasks against a hand-written one on the phantoms of BTCV, in about the same processor time.

    python benchmarks/planned.py [--scale X] [--folder DIR] [--quick]

The hand-written one is the demo of `unetr_btcv`. Against it stand `platform plan` for `unet` and for `unetr` on the
same files, in medvid's style. They are told what a processor needs: a voxel size, and for UNETR the small network of
the demo; patch, batch, preparation, sampling, augmentation, loss and optimizer are the plan's. A plan is for 50,000
steps and more. Of its recipe the number of steps is changed, and with it what counts steps: warm-up, how long a rate
is held, evaluation. `--fast` gives both planned tasks the optimizer of the hand-written one as well, to tell it from
the rest.

One thread, one after the other, each in a process of its own. Time is that of the processor, for the whole
`platform run`: preparation, training and the evaluation of 4 cases twice.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import print_table

from medvid_btcv.config import PhantomOptions
from medvid_btcv.phantoms import generate

STEPS = {"unetr_btcv, by hand": 140, "unet, planned": 175, "unetr, planned": 155}
"""Steps that take about 6 minutes of a processor each."""
SMALL = ["hidden_size=96", "mlp_dim=192", "num_heads=4", "num_layers=4", "patch_size=8", "taps=[0, 1]"]
FAST = ["optimizer={name: adamw, lr: 4e-3, weight_decay: 1e-5}", "clip_norm=1.0"]
SCHEDULES = {"unet": "{name: poly, power: 0.9, hold: 1}", "unetr": "{name: warmup_cosine, warmup_steps: %d}"}
VOXELS = {"unet": 8, "unetr": 5}
"""Mm."""


def platform(*arguments: str, folder: Path, overrides: list[str]) -> tuple[float, float]:
    """Run the command in a folder; processor time and wall time in seconds."""
    command = [sys.executable, "-m", "medvid", *arguments, *(part for each in overrides for part in ("--set", each))]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / "log.txt").open("a") as log:
        subprocess.run(command, cwd=folder, env=variables, check=True, stdout=log, stderr=log)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, time.perf_counter() - began


def lasting(steps: int) -> list[str]:
    """Overrides for a training of so many steps, evaluated at its end."""
    return [f"train.steps={steps}", f"evaluation.every={steps}", "train.workers=0"]


def plan(backbone: str, steps: int, folder: Path, fast: bool) -> str:
    """Write the planned task."""
    schedule = SCHEDULES[backbone].replace("%d", str(max(1, steps // 20)))
    overrides = [f"dataset.spacing={[VOXELS[backbone]] * 3}", f"train.schedule={schedule}", *lasting(steps)]
    if backbone == "unetr":
        overrides += [f"backbone.{each}" for each in SMALL]
    if fast:
        overrides += [f"train.{each}" for each in FAST]
    preset = ["--preset", "plain"] if backbone == "unet" else []
    task = f"{backbone}.yaml"
    arguments = ["--backbone", backbone, *preset, "--style", "medvid", "--memory", "0.5", "-o", task]
    platform("plan", "phantoms", *arguments, folder=folder, overrides=overrides)
    return task


def dice(folder: Path) -> float:
    """Of the newest run."""
    newest = max((folder / "runs").glob("*/*/summary.json"), key=lambda path: path.stat().st_mtime)
    value: float = json.loads(newest.read_text())["metrics"]["dice"]
    return value


def compare(folder: Path, scale: float, fast: bool) -> None:
    """Run all and print the table."""
    generate(folder / "phantoms", PhantomOptions())
    rows = []
    for name, default in STEPS.items():
        steps = max(1, round(default * scale))
        if name.endswith("hand"):
            overrides = [*lasting(steps), f"train.schedule.warmup_steps={max(1, steps // 12)}"]
            spent, wall = platform(
                "run", "unetr_btcv", "--demo", folder=folder, overrides=[*overrides, f"dataset.root={folder / 'none'}"]
            )
        else:
            task = plan(name.partition(",")[0], steps, folder, fast)
            spent, wall = platform("run", task, folder=folder, overrides=[])
        rows.append([name, str(steps), f"{spent:.0f}", f"{wall:.0f}", f"{dice(folder):.3f}"])
        print(*rows[-1], sep="  ", flush=True)
    print()
    print_table(["", "steps", "processor s", "wall s", "mean Dice"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="times as many steps of each")
    parser.add_argument("--folder", type=Path, help="where files are kept; default: nowhere")
    parser.add_argument("--fast", action="store_true", help="planned tasks with the optimizer of the hand-written one")
    parser.add_argument("--quick", action="store_true", help="1 step of each, to see that the script works")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        compare(folder, 0 if arguments.quick else arguments.scale, arguments.fast)


if __name__ == "__main__":
    main()
