"""Generated echoes in CAMUS's layout and file format. They show no patient, and are not a substitute for real ones.

All cavities are dark, as are the right heart in the view of four chambers and what lies outside of the sector; the wall
is as bright as the tissue about it, but for a dim seam. So structures differ by shape and place alone.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_cardiac.echo_config import PHASES, VIEWS, EchoOptions

_TISSUE, _SEAM, _BLOOD = 120.0, 45.0, 15.0
_QUALITIES = ("Good", "Medium", "Poor")
_WALL = 0.07


@dataclass(frozen=True, slots=True)
class EchoHeart:
    """Sizes at ED as shares of the depth, and how much the ventricle's axes shorten."""

    width: float
    length: float
    shortening: float
    lean: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> "EchoHeart":
        """A heart of any patient."""
        sizes = random.uniform((0.11, 0.2, 0.1, -0.12), (0.15, 0.25, 0.25, 0.12))
        return cls(*sizes.tolist())


def generate(folder: Path, options: EchoOptions) -> None:
    """Write ``database_nifti/patient0001`` ... and ``database_split``, unless the folder already holds exactly these.

    Args:
        folder: the folder to make; other echoes in it are replaced.
        options: how many, how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_cardiac.echoes", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write, options=options))


def draw_echo(
    heart: EchoHeart, view: str, phase: str, options: EchoOptions, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """An image and its label map.

    Args:
        heart: the heart.
        view: 2CH or 4CH.
        phase: ED or ES.
        options: shape (X, Y), across and along the beam.
        random: of the speckle.

    Returns:
        Intensities (X, Y) uint8 and label ids (X, Y) uint8.
    """
    across, depth = np.meshgrid(*(np.arange(length) / options.shape[1] for length in options.shape), indexing="ij")
    across = across - across.mean() - heart.lean * depth
    shrunk = 1 - heart.shortening * (phase == "ES")
    width, length = heart.width * shrunk, heart.length * shrunk
    base = 0.2 + 2 * heart.length * 0.85  # the valve, below which the ventricle ends
    middle = base - 0.85 * length
    left = np.hypot(across / width, (depth - middle) / length) < 1
    outer = np.hypot(across / (width + _WALL), (depth - middle) / (length + _WALL)) < 1
    atrium = np.hypot(across / (heart.width * 1.05), (depth - base - 0.13) / 0.12) < 1
    labels = np.zeros(options.shape, np.uint8)
    labels[atrium & (depth > base)] = 3
    labels[outer & (depth < base)] = 2
    labels[left & (depth < base)] = 1
    brightness = np.full(options.shape, _TISSUE)
    if view == "4CH":
        side = across + heart.width * 1.1 + _WALL + 0.1
        brightness[np.hypot(side / 0.09, (depth - middle) / heart.length) < 1] = _BLOOD
        brightness[np.hypot(side / 0.09, (depth - base - 0.13) / 0.1) < 1] = _BLOOD
    brightness[ndimage.binary_dilation(labels == 2, iterations=2) & (labels == 0)] = _SEAM
    brightness[labels == 2] = _TISSUE
    brightness[(labels == 1) | (labels == 3)] = _BLOOD
    sector = np.abs(across + heart.lean * depth) < 0.7 * depth + 0.02
    speckle = ndimage.gaussian_filter(random.exponential(1, options.shape), 0.7)
    return np.where(sector, brightness * speckle, 0).clip(0, 255).astype(np.uint8), np.where(sector, labels, 0)


def _write(folder: Path, options: EchoOptions) -> None:
    number = 0
    for split in ("training", "validation", "testing"):
        count = {"training": options.train, "validation": options.validation, "testing": options.test}[split]
        names = [f"patient{one:04d}" for one in range(number + 1, number + count + 1)]
        for name in names:
            number += 1
            _write_patient(folder / "database_nifti" / name, number, options)
        (folder / "database_split").mkdir(exist_ok=True)
        listed = "".join(f"{name}\n" for name in names)
        (folder / "database_split" / f"subgroup_{split}.txt").write_text(listed, encoding="utf-8")


def _write_patient(folder: Path, number: int, options: EchoOptions) -> None:
    random = np.random.default_rng(derive_seed(options.seed, "echo", number))
    heart = EchoHeart.draw(random)
    folder.mkdir(parents=True)
    for view in VIEWS:
        for phase in PHASES:
            image, labels = draw_echo(heart, view, phase, options, random)
            stem = f"{folder.name}_{view}_{phase}"
            _save(folder / f"{stem}.nii.gz", image, options)
            _save(folder / f"{stem}_gt.nii.gz", labels, options)
        lines = {"ED": 1, "ES": 10, "NbFrame": 10, "Sex": "F", "Age": 60, "ImageQuality": _QUALITIES[number % 3]}
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        (folder / f"Info_{view}.cfg").write_text(text, encoding="utf-8")


def _save(path: Path, data: np.ndarray, options: EchoOptions) -> None:
    image = nib.Nifti1Image(data, np.diag((-options.spacing[0], -options.spacing[1], 1.0, 1.0)))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
