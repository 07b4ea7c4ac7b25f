"""What a training step launches, counted on the meta device: budgets, so that more is noticed, and what goes unused."""

from pathlib import Path

import pytest

from medvid.config.checked import CheckedTask, check_task
from medvid.config.load import load_task
from medvid.models.build import build_model
from medvid.plugin.host import make_host
from medvid.testing.cells import blank_batch, pairs
from medvid.testing.fake_gpu import META
from medvid.testing.kernels import StepCount, count_step

HOST = make_host()
PAIRS = {name: cell for name, cell in pairs(HOST).items() if cell.what == "class" or cell.backbone.name == "vit"}
TASKS = Path(__file__).parents[2] / "tasks"
BUDGETS = {
    "acdc": (580, 30, 680),
    "brats": (430, 30, 630),
    "camus": (580, 30, 680),
    "charades": (490, 5, 380),
    "chestxray14": (300, 5, 380),
    "echonet_ef": (170, 10, 140),
    "cholec80_phases": (380, 45, 440),
    "cholec80_tools": (300, 15, 370),
    "echonet_lv": (180, 150, 470),
    "medmnist2d": (230, 5, 340),
    "medmnist3d": (270, 5, 370),
    "medt_glas": (1120, 30, 1600),
    "medt_monuseg": (1720, 30, 2820),
    "mvit_btcv": (1080, 30, 1340),
    "mvit_kinetics": (540, 12, 630),
    "mvit_organmnist3d": (310, 5, 400),
    "rsna_hemorrhage": (310, 14, 390),
    "primus_btcv": (630, 35, 990),
    "stam_kinetics": (410, 5, 570),
    "timesformer_btcv": (680, 30, 920),
    "timesformer_kinetics": (520, 5, 720),
    "transunet_btcv": (580, 30, 680),
    "transunet_kinetics": (720, 5, 820),
    "transunet_synapse": (580, 30, 650),
    "unet_btcv": (140, 150, 310),
    "unetr_btcv": (390, 30, 520),
    "unetr_kinetics": (230, 5, 330),
    "unetr_organmnist3d": (230, 5, 330),
    "unetr_synapse": (410, 30, 680),
    "vivit_kinetics": (230, 5, 340),
    "videomae_kinetics": (320, 15, 370),
    "vjepa_kinetics": (650, 5, 950),
    "vtn_kinetics": (430, 5, 560),
}
"""Kernels of a step of each task in this repository: forward, loss and backward. They do not depend on sizes."""


def count(task: CheckedTask, cases: int) -> StepCount:
    with META:
        model = build_model(task)
    batch = blank_batch(task, META, cases)
    return count_step(model, batch.input, batch.target)


@pytest.mark.parametrize("name", sorted(path.stem for path in TASKS.glob("*.yaml")))
def test_a_step_of_a_task_keeps_to_its_budget(name: str, tmp_path: Path) -> None:
    classes = [str(number) for number in range(400)]
    named = {"dataset.classes": classes} if name.endswith(("_kinetics", "charades")) else {}
    roots = {"dataset.root": str(tmp_path)} | named
    task = load_task(TASKS / f"{name}.yaml", HOST, overrides=roots)
    step = count(check_task(task, HOST), task.train.batch_size * task.dataset.examples_per_case())
    found = step.forward.kernels, step.loss.kernels, step.backward.kernels
    assert all(number <= most for number, most in zip(found, BUDGETS[name], strict=True)), f"{found}, {BUDGETS[name]}"
    assert not step.unused
