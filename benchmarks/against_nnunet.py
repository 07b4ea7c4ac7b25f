"""Real nnU-Net against medvid's planned `unet`: the same cases, split, patches, batches and number of steps.

    python benchmarks/against_nnunet.py [--nnunet PYTHON] [--epochs N] [--folder DIR] [--quick]

Generated phantoms of the abdomen with coarse voxels in a folder of nnU-Net's; the first of five folds. Each side plans,
prepares, trains with its own recipe (nnU-Net's first planner; SGD, poly per epoch, deep supervision, all of the
augmentation), and predicts the cases of the fold with its last weights, without mirroring, which would take most of the
time here; `platform score` scores both. Both read the fold from splits_final.json, and lower the rate once an epoch.

One thread on a CPU, one side after the other, each in processes of its own, without helpers. "train" is everything
from the start of the process to the last prediction; medvid evaluates twice in it, at the last step and in closing.

`--nnunet` is a Python that has nnunetv2 2.8.1; without it an environment is made in the folder, on top of this one, for
which pip downloads nnunetv2.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import count, print_table

from medvid.config.yaml import parse_file
from medvid_btcv.abdomen import write_scan
from medvid_btcv.config import LABELS, PhantomOptions
from medvid_btcv.phantoms import phantom

VERSION = "2.8.1"
NAME = "Dataset001_Phantoms"
CASES = 20
PHANTOMS = PhantomOptions(shape=(28, 24, 16), spacing=(11.1, 10.4, 12.5))
GIGABYTES = "1"
STEPS = 10
"""Of an epoch."""
HERE = Path(__file__).parent


def write_data(root: Path) -> None:
    """A folder of nnU-Net's, and a split of five folds in it and where nnU-Net looks for it."""
    raw = root / "raw" / NAME
    for folder in (raw / "imagesTr", raw / "labelsTr", root / "preprocessed" / NAME, root / "results"):
        folder.mkdir(parents=True)
    names = [f"case_{number:02d}" for number in range(1, CASES + 1)]
    for number, name in enumerate(names, 1):
        image, labels, affine = phantom(PHANTOMS, number)
        write_scan(raw / "imagesTr" / f"{name}_0000.nii.gz", image, affine)
        write_scan(raw / "labelsTr" / f"{name}.nii.gz", labels, affine)
    described = {
        "channel_names": {"0": "CT"},
        "labels": {label: number for number, label in enumerate(LABELS)},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(described))
    folds = [{"train": [name for name in names if name not in names[k::5]], "val": names[k::5]} for k in range(5)]
    for folder in (raw, root / "preprocessed" / NAME):
        (folder / "splits_final.json").write_text(json.dumps(folds))


def make_environment(folder: Path) -> Path:
    """An environment that has nnunetv2, and what is installed here; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    inner = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    (Path(inner) / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", f"nnunetv2=={VERSION}"]
    subprocess.run(pip, check=True)
    return python


class Sides:
    """Runs commands of both sides in a folder, and says what they took."""

    def __init__(self, root: Path, python: Path) -> None:
        self.root, self.python = root, python
        own = {f"nnUNet_{name}": str(root / name) for name in ("raw", "preprocessed", "results")}
        alone = {"OMP_NUM_THREADS": "1", "nnUNet_def_n_proc": "1"}
        self.variables = os.environ | own | alone | {"MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}"}

    def nnunet(self, *arguments: str) -> tuple[float, float]:
        # Threads in planning, which has to have one; helpers of the loader in training.
        helpers = {"nnUNet_n_proc_DA": "1" if arguments[0] == "prepare" else "0"}
        return self._run([str(self.python), str(HERE / "nnunet_side.py"), *arguments], self.variables | helpers)

    def platform(self, *arguments: str) -> tuple[float, float]:
        return self._run([sys.executable, "-m", "medvid", *arguments], self.variables)

    def _run(self, command: list[str], variables: Mapping[str, str]) -> tuple[float, float]:
        """Processor time and wall time in seconds."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with (self.root / "log.txt").open("a") as log:
            done = subprocess.run(command, cwd=self.root, env=variables, check=False, stdout=log, stderr=log)
        if done.returncode:
            print((self.root / "log.txt").read_text()[-3000:], file=sys.stderr)
            raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return spent, time.perf_counter() - began

    def dice(self, predictions: Path, name: str) -> float:
        """Mean over labels, as `platform score` has it."""
        self.platform("score", str(predictions), f"raw/{NAME}/labelsTr", "--common", "-o", name)
        scores = json.loads((self.root / name / "summary.json").read_text())
        value: float = scores["metrics"]["dice"]
        return value


def plan(sides: Sides, epochs: int, steps: int) -> tuple[float, float]:
    """Write medvid's task with nnU-Net's numbers, but for the length."""
    total = epochs * steps
    overrides = [f"train.steps={total}", f"train.schedule.hold={steps}", f"evaluation.every={total}"]
    overrides += ["evaluation.mirror=[]", "train.workers=0"]
    sets = [part for each in overrides for part in ("--set", each)]
    planner = ["--preset", "plain", "--memory", GIGABYTES, "-o", "task.yaml"]
    return sides.platform("plan", f"raw/{NAME}", *planner, *sets)


def print_plans(root: Path) -> None:
    """Patches and batches of both, which have to be the same."""
    plans = json.loads((root / "preprocessed" / NAME / "nnUNetPlans.json").read_text())
    theirs: Mapping[str, Any] = plans["configurations"]["3d_fullres"]
    ours = parse_file((root / "task.yaml").read_text(), "task.yaml").data
    print(f"nnU-Net: patch (z, y, x) {theirs['patch_size']}, batch {theirs['batch_size']}")
    print(f"medvid:  patch (R, A, S) {ours['dataset']['patch']['size']}, batch {ours['train']['batch_size']}\n")


def compare(root: Path, python: Path | None, epochs: int, steps: int) -> None:
    """Run both sides and print the table."""
    write_data(root)
    sides = Sides(root, python or make_environment(root / "environment"))
    prepared = {"nnU-Net": sides.nnunet("prepare", GIGABYTES), "medvid": plan(sides, epochs, steps)}
    print_plans(root)
    trained = {"nnU-Net": sides.nnunet("train", str(epochs), str(steps)), "medvid": sides.platform("run", "task.yaml")}
    [theirs] = (root / "results" / NAME).glob("*/fold_0/validation")
    [ours] = (root / "runs").glob("*/*/predictions")
    dice = {"nnU-Net": sides.dice(theirs, "theirs"), "medvid": sides.dice(ours, "ours")}
    figures = {name: [dice[name], *prepared[name], *trained[name]] for name in ("nnU-Net", "medvid")}
    ratios = [ours / max(theirs, 1e-9) for ours, theirs in zip(figures["medvid"], figures["nnU-Net"], strict=True)]
    rows = [[name, *(f"{value:.3g}" for value in values)] for name, values in (figures | {"ratio": ratios}).items()]
    print(f"{epochs} epochs of {steps} steps")
    print_table(["", "mean Dice", "prepare CPU s", "wall s", "train CPU s", "wall s"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnunet", type=Path, help="Python of an environment that has nnunetv2")
    parser.add_argument("--epochs", type=count, default=20, help=f"of {STEPS} steps")
    parser.add_argument("--folder", type=Path, help="an empty folder, where files are kept; default: nowhere")
    parser.add_argument("--quick", action="store_true", help="2 epochs of a step, to see that the script works")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (arguments.folder or Path(temporary)).absolute()
        compare(root, arguments.nnunet, *((2, 1) if arguments.quick else (arguments.epochs, STEPS)))


if __name__ == "__main__":
    main()
