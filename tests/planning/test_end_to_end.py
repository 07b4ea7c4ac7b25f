"""Folders as people have them: planned, checked, trained unchanged, and used on a file, by the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.planning.test_pictures import write_images
from tests.planning.volumes import write_volumes

from medvid.cli.main import main
from medvid_kinetics.clips import generate
from medvid_kinetics.config import ClipsOptions

NAMES = [f"case_{number}" for number in range(4)]


def anisotropic_ct(root: Path) -> Path:
    write_volumes(root, NAMES, shape=(30, 34, 9), spacing=(0.8, 0.8, 3.5))
    return root / "imagesTr" / "case_0_0000.nii.gz"


def two_channel_mr(root: Path) -> Path:
    write_volumes(root, NAMES, shape=(18, 20, 16), spacing=(1, 1, 1.1), channels=("T1", "T2"))
    return root / "imagesTr"


def channels_in_one_file(root: Path) -> Path:
    """As AMOS and the Decathlon's brains have them, 4-D."""
    write_volumes(root, NAMES, shape=(18, 20, 16), spacing=(1, 1, 1), channels=("FLAIR", "T1"))
    for name in NAMES:
        parts = [root / "imagesTr" / f"{name}_{number:04d}.nii.gz" for number in range(2)]
        volumes = [nib.load(part) for part in parts]
        both = np.stack([volume.get_fdata(dtype=np.float32) for volume in volumes], axis=3)
        nib.save(nib.Nifti1Image(both, volumes[0].affine), root / "imagesTr" / f"{name}.nii.gz")
        for part in parts:
            part.unlink()
    return root / "imagesTr" / "case_0.nii.gz"


def microscopy(root: Path) -> Path:
    return write_images(root, count=4, size=(40, 56), ids=True) / "images" / "0.png"


def tiny_volumes(root: Path) -> Path:
    write_volumes(root, NAMES, shape=(12, 11, 10), spacing=(1, 1, 1), channels=("MR",))
    return root / "imagesTr" / "case_0_0000.nii.gz"


def clips(root: Path) -> Path:
    generate(root, ClipsOptions(train=2, validation=1))
    return root / "val" / "moving up" / "0001.mp4"


NET = ["backbone.embed_dim=24", "backbone.depth=1", "backbone.num_heads=2"]


@pytest.mark.parametrize(
    ("write", "backbone"),
    [
        (anisotropic_ct, []),
        (two_channel_mr, []),
        (channels_in_one_file, []),
        (microscopy, []),
        (tiny_volumes, []),
        (clips, ["--backbone", "timesformer", *(part for each in NET for part in ("--set", each))]),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_folder_is_planned_trained_and_predicted_with(
    write: Callable[[Path], Path],
    backbone: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plan: Callable[..., tuple[int, str, str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    file = write(tmp_path / "data")
    small = ["--preset", "plain", "--memory", 0.2] if not backbone else ["--memory", 2]
    code, _, said = plan("data", "--steps", 2, "--set", "train.workers=0", "-o", "task.yaml", *small, *backbone)
    assert code == 0, said
    assert main(["check", "task.yaml"]) == 0
    assert main(["run", "task.yaml"]) == 0
    (run,) = Path("runs/data").iterdir()
    figures = json.loads((run / "summary.json").read_text())["metrics"]
    assert 0 <= figures["top1" if backbone else "dice"] <= 1
    assert main(["predict", str(run), str(file), "-o", "answers"]) == 0
    assert [path for path in Path("answers").rglob("*") if path.is_file()]
