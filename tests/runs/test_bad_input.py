"""What users get wrong, through the real command: one clear line, what to do, the right exit code, nothing lost."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medvid.cli.main import main
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder
from medvid.training.checkpoint import checkpoint_step, checkpoints, load_checkpoint, save_checkpoint


@pytest.fixture
def own_data(finished: Run, tiny_task: Path) -> Path:
    """A data set of one's own, in the working directory of tiny.yaml."""
    root = Path(shutil.copytree(finished.task().dataset.root, tiny_task.parent / "own"))
    (root / "generated.json").unlink()
    return root


def rewrite(path: Path, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    image = nib.load(path)
    data, affine = change(np.asarray(image.dataobj).copy(), image.affine.copy())
    nib.save(nib.Nifti1Image(data, affine), path)


def strange_label(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data[0, 0, :3] = 14
    return data, affine


def mirrored(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return data, affine @ np.diag([-1.0, 1.0, 1.0, 1.0])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "missing": (lambda root: (root / "img/img0002.nii.gz").unlink(), "1 file is missing", "img0002"),
    "truncated": (lambda root: truncate(root / "img/img0002.nii.gz"), "truncated", "case img0002"),
    "label": (lambda root: rewrite(root / "label/label0002.nii.gz", strange_label), "14 (3 voxels)", "case img0002"),
    "shape": (
        lambda root: rewrite(root / "label/label0002.nii.gz", lambda data, affine: (data[1:], affine)),
        "has shape",
        "case img0002",
    ),
    "affine": (lambda root: rewrite(root / "label/label0002.nii.gz", mirrored), "do not lie on one another", "LAS"),
}


@pytest.mark.parametrize(("damage", "reason", "where"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_data(
    own_data: Path,
    tiny_task: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    reason: str,
    where: str,
) -> None:
    damage(own_data)
    assert main(["run", str(tiny_task), "--set", f"dataset.root={own_data}"]) == 4
    error = capfd.readouterr().err
    assert "error[DATA]" in error
    assert reason in error
    assert where in error


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("backbone.name=unter", 2, "did you mean 'unetr'"),
        ("train.optimizer.lrr=1", 2, "did you mean 'lr'"),
        ("backbone.img_size=[48, 48, 48]", 2, "img_size"),
        ("head.name=btcv", 2, "'btcv' is a dataset, not a head"),
        ("dataset.if_missing=error", 4, "absent"),
        pytest.param(
            "train.accelerator=cuda",
            6,
            "finds only: cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU, so nothing is wrong"),
        ),
    ],
)
def test_wrong_options(
    tiny_task: Path, capfd: pytest.CaptureFixture[str], override: str, code: int, message: str
) -> None:
    assert main(["run", str(tiny_task), "--set", override]) == code
    assert message in capfd.readouterr().err
    assert not list(tiny_task.parent.glob("runs/*/*/checkpoints"))


def test_a_learning_rate_that_blows_up(tiny_task: Path, capfd: pytest.CaptureFixture[str]) -> None:
    overrides = ["train.optimizer.lr=1e30", "train.schedule={name: constant}", "train.clip_norm=null"]
    arguments = [word for override in overrides for word in ("--set", override)]
    assert main(["run", str(tiny_task), *arguments]) == 5
    error = capfd.readouterr().err
    assert "error[NUMERIC]" in error
    assert "is not finite" in error


@pytest.fixture
def broken(finished: Run, tmp_path: Path) -> RunFolder:
    """A run whose weights hold NaN, with an intact checkpoint, as one of another program may."""
    folder = RunFolder(Path(shutil.copytree(finished.folder.path, tmp_path / "runs" / "tiny" / "broken")))
    for path in checkpoints(folder.checkpoints):
        checkpoint = load_checkpoint(path)
        weights = dict(checkpoint.tensors["ema"])
        weights[min(weights)].view(-1)[0] = torch.nan
        save_checkpoint(
            folder.checkpoints,
            checkpoint_step(path),
            replace(checkpoint, tensors={**checkpoint.tensors, "ema": weights}),
        )
    return folder


def test_outputs_that_are_not_finite_are_neither_scored_nor_written(
    broken: RunFolder, finished: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scan = next((finished.task().dataset.root / "img").iterdir())
    assert main(["predict", str(broken.path), str(scan), "-o", str(tmp_path / "out")]) == 5
    error = capfd.readouterr().err
    assert f"output for case {scan.name.removesuffix('.nii.gz')} is not finite" in error
    assert "the weights are not finite either (backbone." in error
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert main(["evaluate", str(broken.path), "-o", str(tmp_path / "scores")]) == 5
    assert "output for case img0004 is not finite" in capfd.readouterr().err
    assert not [path for path in (tmp_path / "scores").rglob("*") if path.is_file()]


def test_neither_a_task_nor_a_run(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "give a task, or --resume RUN, or --extend RUN" in capfd.readouterr().err
