"""Small data sets of volumes as people have them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def write_volumes(
    root: Path,
    names: Sequence[str],
    *,
    shape: tuple[int, ...] = (24, 26, 12),
    spacing: Sequence[float] = (1.0, 1.0, 3.0),
    channels: Sequence[str] = ("CT",),
    labels: Sequence[str] = ("background", "organ"),
    described: bool = True,
    empty: bool = False,
) -> Path:
    """Balls of another intensity in noise, in nnU-Net's layout; CT has air around, MR zeros."""
    random = np.random.default_rng(0)
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    for name in names:
        axes = [np.linspace(-1, 1, length) if length > 1 else np.zeros(1) for length in shape]
        radius = np.sum(np.square(np.meshgrid(*axes, indexing="ij")), axis=0)
        label = (radius < 0.4).astype(np.uint8) * (not empty)
        affine = np.diag([*spacing, 1.0])
        nib.save(nib.Nifti1Image(label, affine), root / "labelsTr" / f"{name}.nii.gz")
        for number, channel in enumerate(channels):
            inside = random.normal(100, 20, shape) + 60 * label
            image = np.where(radius > 0.9, -1000 if channel == "CT" else 0, inside).astype(np.float32)
            nib.save(nib.Nifti1Image(image, affine), root / "imagesTr" / f"{name}_{number:04d}.nii.gz")
    if described:
        write_description(root, len(names), channels, labels)
    return root


def write_description(root: Path, cases: int, channels: Sequence[str], labels: Sequence[str]) -> None:
    content: dict[str, Any] = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {name: number for number, name in enumerate(labels)},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
