"""Planned tasks against a hand-written one on the phantoms of BTCV: Dice after the same time of training.

    python benchmarks/planned.py [--steps N] [--folder DIR] [--quick]

The hand-written one is the demo of `unetr_btcv`, of N steps. Against it stand `platform plan --steps M` for `unet` and
for `unetr` on the same files, in medvid's style, run as they are. They are told what a processor needs: a voxel
size, a memory, and for UNETR the small network of the demo; patch, batch, preparation, sampling, augmentation, loss and
recipe are the plan's.

M is found out: each plan is first made for a few steps and run, which says how long a step takes on this machine. A
second plan gets the steps that take as long as those of the hand-written one did. One thread, one after the other, each
in a process of its own; the machine has to be otherwise idle. The table has the time of steps alone and the processor's
time for the whole `platform run`: preparation, training, and the evaluations of 4 cases.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from common import count, print_table

from medvid_btcv.config import PhantomOptions
from medvid_btcv.phantoms import generate

PROBE = 30
"""Steps that show how long one takes."""
SMALL = ["hidden_size=96", "mlp_dim=192", "num_heads=4", "num_layers=4", "patch_size=8", "taps=[0, 1]"]
PLANS = {
    "unet": ["--preset", "plain", "--set", "dataset.spacing=[8, 8, 8]"],
    "unetr": [
        "--set", "dataset.spacing=[5, 5, 5]", *(part for each in SMALL for part in ("--set", f"backbone.{each}"))
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """A run that is finished.

    Args:
        steps: of its training.
        per_step: seconds, median: the first steps take longer.
        spent: processor seconds of the whole command.
        dice: mean of the closing evaluation.
    """

    steps: int
    per_step: float
    spent: float
    dice: float


def platform(*arguments: str, folder: Path) -> float:
    """Run the command in a folder; processor seconds."""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder / "log.txt").open("a") as log:
        command = [sys.executable, "-m", "medvid", *arguments]
        subprocess.run(command, cwd=folder, env=variables, check=True, stdout=log, stderr=log)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run(*arguments: str, folder: Path) -> Result:
    """Run a task."""
    output = folder / "runs"
    known = set(output.glob("*/*"))
    spent = platform("run", *arguments, "--set", "train.workers=0", "--set", f"output={output}", folder=folder)
    (made,) = set(output.glob("*/*")) - known
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    timed: list[tuple[int, float]] = [
        (line["step"], line["values"]["step_time"]) for line in lines if line["split"] == "perf"
    ]
    dice: float = json.loads((made / "summary.json").read_text())["metrics"]["dice"]
    return Result(timed[-1][0], median(each for _, each in timed), spent, dice)


def planned(backbone: str, steps: int, folder: Path) -> Result:
    """Plan for so many steps, and run the plan as it was written."""
    task = f"{backbone}_{steps}.yaml"
    options: Sequence[Any] = ["--style", "medvid", "--memory", "0.5", "--steps", steps, *PLANS[backbone]]
    platform("plan", "phantoms", "--backbone", backbone, *map(str, options), "-o", task, folder=folder)
    return run(task, folder=folder)


def compare(folder: Path, steps: int, probe: int) -> None:
    """Run all and print the table."""
    generate(folder / "phantoms", PhantomOptions())
    counted = {"steps": steps, "schedule.warmup_steps": max(1, steps // 12)}
    overrides = [part for name, number in counted.items() for part in ("--set", f"train.{name}={number}")]
    overrides += ["--set", f"evaluation.every={max(1, steps // 2)}", "--set", f"dataset.root={folder / 'none'}"]
    by_hand = run("unetr_btcv", "--demo", *overrides, folder=folder)
    results = {"unetr_btcv, by hand": by_hand}
    for backbone in PLANS:
        probed = planned(backbone, probe, folder)
        fitting = max(1, round(by_hand.steps * by_hand.per_step / probed.per_step)) if steps > probe else probe
        results[f"{backbone}, planned"] = probed if fitting == probe else planned(backbone, fitting, folder)
    rows = [
        [
            name,
            str(each.steps),
            f"{each.per_step:.2f}",
            f"{each.steps * each.per_step:.0f}",
            f"{each.spent:.0f}",
            f"{each.dice:.3f}",
        ]
        for name, each in results.items()
    ]
    print_table(["", "steps", "s per step", "s of steps", "processor s in all", "mean Dice"], rows)
    worse = [name for name, each in results.items() if each.dice < by_hand.dice]
    print(f"below the hand-written one: {', '.join(worse)}" if worse else "each plan reaches the hand-written one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=count, default=100, help="of the hand-written one")
    parser.add_argument("--folder", type=Path, help="where files are kept; default: nowhere")
    parser.add_argument("--quick", action="store_true", help="1 step of each, to see that the script works")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        compare(folder, *((1, 1) if arguments.quick else (arguments.steps, PROBE)))


if __name__ == "__main__":
    main()
