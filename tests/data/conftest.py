from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

Write = Callable[..., Path]


@pytest.fixture
def write() -> Write:
    """Write an array as NIfTI and return the path: ``write(path, data, affine)``."""

    def write_file(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), path)
        return path

    return write_file


@pytest.fixture
def write_case(write: Write) -> Callable[..., None]:
    """Write ``img/<name>.nii.gz`` and ``label/<name>.nii.gz`` below a folder: a bright cube in noise, labelled 1."""

    def write_both(root: Path, name: str, shape: Sequence[int] = (12, 10, 8), seed: int = 0) -> None:
        image = np.random.default_rng([seed, *name.encode()]).integers(0, 100, shape, dtype=np.int16)
        label = np.zeros(shape, np.uint8)
        label[3:7, 3:7, 3:7] = 1
        write(root / "img" / f"{name}.nii.gz", image + 100 * label)
        write(root / "label" / f"{name}.nii.gz", label)

    return write_both
