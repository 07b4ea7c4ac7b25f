"""Generated hearts in ACDC's layout and file format. They show no patient, and are not a substitute for real ones.

Both ventricles hold blood of one brightness, and so do round vessels beside the heart; the myocardium is as dark as the
muscle of the chest. So structures differ by shape and place alone, and a model that sees intensities alone fails.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_cardiac.config import HeartOptions
from medvid_cardiac.info import NAME
from medvid_cardiac.patients import GROUPS

FRAMES = 6
"""Frames of a series; the first is ED, the fourth ES."""
ES = 4

_FRACTIONS = {"NOR": 0.6, "MINF": 0.3, "DCM": 0.25, "HCM": 0.7, "RV": 0.55}  # ejection, of the left ventricle
_BLOOD, _MUSCLE, _FAT, _LUNG = 200.0, 90.0, 160.0, 25.0
_NOISE, _TEXTURE = 18.0, 15.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Heart:
    """Sizes at ED in mm, of the section halfway between base and apex."""

    left: float
    wall: float
    right: float
    ejection: float
    angle: float
    centre: tuple[float, float]

    @classmethod
    def draw(cls, group: str, random: np.random.Generator) -> "Heart":
        """A heart with the signs of a diagnosis: a wide or thick left ventricle, or a wide right one."""
        return cls(
            left=random.uniform(22, 26) * (1.3 if group == "DCM" else 0.9 if group == "HCM" else 1),
            wall=random.uniform(8, 10) * (1.6 if group == "HCM" else 1),
            right=random.uniform(28, 32) * (1.25 if group == "RV" else 1),
            ejection=_FRACTIONS[group] + random.uniform(-0.04, 0.04),
            angle=random.uniform(-0.5, 0.5),
            centre=tuple(random.uniform(-12, 12, 2)),
        )


def generate(folder: Path, options: HeartOptions) -> None:
    """Write ``training/patient001`` ... and ``testing/patient101`` ..., unless the folder already holds exactly these.

    Args:
        folder: the folder to make; other hearts in it are replaced.
        options: how many, how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_cardiac.hearts", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write, options=options))


def frame_of(
    heart: Heart, contraction: float, options: HeartOptions, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """An image and its label map.

    Args:
        heart: the heart.
        contraction: 0 at ED, 1 at ES.
        options: shape (X, Y, Z) and spacing.
        random: of the noise.

    Returns:
        Intensities (X, Y, Z) int16 and label ids (X, Y, Z) uint8.
    """
    labels = _labels(heart, contraction, options)
    x, y, _ = _points(options)
    image = np.where(np.hypot(x / 92, y / 78) < 1, _FAT, 0.0) * np.ones(labels.shape)
    image[np.broadcast_to(np.hypot(x / 84, y / 70) < 1, labels.shape)] = _MUSCLE
    image[np.broadcast_to(np.hypot((np.abs(x) - 45) / 30, (y - 5) / 50) < 1, labels.shape)] = _LUNG
    for vessel in ((-52, -45), (20, -58), (55, 40)):  # round and bright, as the left ventricle is
        image[np.broadcast_to(np.hypot(x - vessel[0], y - vessel[1]) < 11, labels.shape)] = _BLOOD
    image[(labels == 1) | (labels == 3)] = _BLOOD
    image[labels == 2] = _MUSCLE
    waves = np.sin(x / random.uniform(15, 30) + random.uniform(0, 6)) * np.cos(y / random.uniform(15, 30))
    noise = random.normal(0, _NOISE, labels.shape)
    return np.clip(np.rint(image + _TEXTURE * waves + noise), 0, 400).astype(np.int16), labels


def _labels(heart: Heart, contraction: float, options: HeartOptions) -> np.ndarray:
    x, y, z = _points(options)
    x, y = x - heart.centre[0], y - heart.centre[1]
    cosine, sine = np.cos(heart.angle), np.sin(heart.angle)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    half = options.shape[2] * options.spacing[2] / 2
    taper = np.sqrt(np.clip(1 - (z / half - 0.15) ** 2 / 1.25, 0, 1))  # no heart beyond base and apex
    left = heart.left * taper * np.sqrt(1 - heart.ejection * contraction)
    outer = np.sqrt(left**2 + taper**2 * ((heart.left + heart.wall) ** 2 - heart.left**2))  # muscle keeps its volume
    right = heart.right * taper * (1 - 0.2 * contraction)
    labels = np.zeros(options.shape, np.uint8)
    beside = np.hypot((x + heart.left + 0.5 * heart.wall) / right, y / (1.15 * right)) < 1
    labels[beside & (x < 0)] = 1
    labels[np.hypot(x, y) < outer] = 2
    labels[np.hypot(x, y) < left] = 3
    return labels


def _points(options: HeartOptions) -> np.ndarray:
    """Coordinates (3, X, Y, Z) in mm from the centre."""
    index = np.indices(options.shape, dtype=np.float64)
    return np.stack(
        [(at - (n - 1) / 2) * step for at, n, step in zip(index, options.shape, options.spacing, strict=True)]
    )


def _write(folder: Path, options: HeartOptions) -> None:
    for split, first, count in (("training", 1, options.train), ("testing", 101, options.test)):
        for number in range(first, first + count):
            _write_patient(folder / split / f"patient{number:03d}", number, options)


def _write_patient(folder: Path, number: int, options: HeartOptions) -> None:
    random = np.random.default_rng(derive_seed(options.seed, "heart", number))
    group = GROUPS[number % len(GROUPS)]
    heart = Heart.draw(group, random)
    contractions = (1 - np.cos(2 * np.pi * np.arange(FRAMES) / FRAMES)) / 2
    frames = [frame_of(heart, contraction, options, random) for contraction in contractions]
    folder.mkdir(parents=True)
    _save(folder / f"{folder.name}_4d.nii.gz", np.stack([image for image, _ in frames], axis=-1), options)
    for at in (1, ES):
        image, labels = frames[at - 1]
        _save(folder / f"{folder.name}_frame{at:02d}.nii.gz", image, options)
        _save(folder / f"{folder.name}_frame{at:02d}_gt.nii.gz", labels, options)
    lines = {"ED": 1, "ES": ES, "Group": group, "Height": "170.0", "NbFrame": FRAMES, "Weight": "70.0"}
    (folder / NAME).write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="utf-8")


def _save(path: Path, data: np.ndarray, options: HeartOptions) -> None:
    affine = np.diag((-options.spacing[0], -options.spacing[1], options.spacing[2], 1.0))
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
