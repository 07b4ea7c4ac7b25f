"""Label maps of videos as files."""

from pathlib import Path

import numpy as np

from medvid.data.images.writing import write_mask
from medvid.data.volumes.formats.nifti import write_labels, write_probabilities
from medvid.data.volumes.formats.nifti_space import Space
from medvid.files import make_folder, replaced_folder


def write_volume(path: Path, labels: np.ndarray, interval: float) -> Path:
    """Write label maps (T, H, W) uint8 as .nii.gz, complete or not at all.

    The size of a voxel on the first axis is `interval`, the seconds between two frames; it lies nowhere in space.
    """
    make_folder(path.parent)
    write_labels(path, labels, _space(interval))
    return path


def write_probability_volume(path: Path, probabilities: np.ndarray, interval: float) -> Path:
    """Write probabilities (L, T, H, W) as .nii.gz, see `medvid.data.volumes.formats.nifti.write_probabilities`."""
    make_folder(path.parent)
    write_probabilities(path, probabilities, _space(interval))
    return path


def write_frames(folder: Path, labels: np.ndarray, count: int) -> tuple[Path, ...]:
    """Write label maps (T, H, W) uint8 as 00000.png ... in a folder, complete or not at all.

    Args:
        folder: the folder, which is replaced.
        labels: of all frames.
        count: number of labels, see `medvid.data.images.writing.write_mask`.

    Returns:
        The files.
    """
    make_folder(folder.parent)
    names = [f"{number:05d}.png" for number in range(len(labels))]
    with replaced_folder(folder) as draft:
        for name, frame in zip(names, labels, strict=True):
            write_mask(draft / name, frame, count)
    return tuple(folder / name for name in names)


def _space(interval: float) -> Space:
    return Space(pixdim=(1.0, interval, 1.0, 1.0))
