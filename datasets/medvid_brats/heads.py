"""Generated heads in BraTS's layout and file format. They show no patient, and are not a substitute for real ones.

A tumour is bright in flair and in t2, its rim takes up contrast (t1ce), and its middle is dark. No modality tells a
structure alone: ventricles are bright in t2, spots of the white matter in flair, and vessels in t1ce. So a model that
mixes up its channels, or sees one of them, fails.
"""

from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_brats.config import HeadOptions
from medvid_brats.names import LABEL, MODALITIES, SINCE_2023, UNTIL_2022

NECROSIS, OEDEMA, ENHANCING = 1, 2, 3

_TISSUE = {"t1": 0.6, "t1ce": 0.6, "t2": 0.5, "flair": 0.5}
_BRIGHT, _DARK = 0.9, 0.25
_NOISE, _TEXTURE = 0.05, 0.05

Triple = np.ndarray | tuple[float, float, float]


def generate(folder: Path, options: HeadOptions) -> None:
    """Write ``training/BraTS-GLI-00000-000`` ... and, without label maps, ``validation``, unless they are there.

    Args:
        folder: the folder to make; other heads in it are replaced.
        options: how many, how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_brats.heads", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write, options=options))


def draw(options: HeadOptions, random: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A head without its skull, with a tumour.

    Args:
        options: shape (X, Y, Z).
        random: of sizes, places and noise.

    Returns:
        Intensities by modality (X, Y, Z) int16, 0 outside of the brain; and label ids (X, Y, Z) uint8, as since 2023.
    """
    places = [(np.arange(length) - (length - 1) / 2) / (length / 2) for length in options.shape]
    at = np.stack(np.meshgrid(*places, indexing="ij"))
    brain = _distance(at, (0, 0, 0), (0.9, 0.95, 0.9)) < 1
    ventricles = _distance(at, (0, 0, 0), (0.22, 0.4, 0.28)) < 1
    centre = random.uniform(0.35, 0.5) * _direction(random)
    size = random.uniform(0.3, 0.4) * random.uniform(0.85, 1.15, 3)
    tumour = _distance(at, centre, size)
    labels = np.zeros(options.shape, np.uint8)
    for label, reach in ((OEDEMA, 1.0), (ENHANCING, 0.68), (NECROSIS, 0.4)):
        labels[(tumour < reach) & brain] = label
    vessels, spots = (_balls(at, random) & brain & (labels == 0) for _ in range(2))
    images = {name: np.full(options.shape, level) for name, level in _TISSUE.items()}
    images["t1"][ventricles | (labels == NECROSIS)] = _DARK
    images["t1ce"][ventricles | (labels == NECROSIS)] = _DARK
    images["t1ce"][vessels | (labels == ENHANCING)] = _BRIGHT
    images["t2"][ventricles | (labels > 0)] = _BRIGHT
    images["flair"][ventricles] = _DARK
    images["flair"][spots | (labels > 0)] = _BRIGHT
    return {name: _scanned(images[name], brain, at, random) for name in MODALITIES}, labels


def _scanned(image: np.ndarray, brain: np.ndarray, at: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """With noise, slow waves of brightness, and a scale of its own."""
    waves = np.sin(at[0] * random.uniform(2, 5) + random.uniform(0, 6)) * np.cos(at[1] * random.uniform(2, 5))
    noisy = image + _TEXTURE * waves + random.normal(0, _NOISE, image.shape)
    return np.where(brain, np.rint(noisy * random.uniform(500, 1500)).clip(1), 0).astype(np.int16)


def _balls(at: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A few balls about the brain."""
    centres = [random.uniform(0.3, 0.7) * _direction(random) for _ in range(4)]
    return np.any([_distance(at, centre, (0.2, 0.2, 0.2)) < 1 for centre in centres], axis=0)


def _distance(at: np.ndarray, centre: Triple, size: Triple) -> np.ndarray:
    """From the centre, 1 at the surface of an ellipsoid."""
    away: np.ndarray = (at - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(size, (3, 1, 1, 1))
    return np.sqrt((away**2).sum(axis=0))


def _direction(random: np.random.Generator) -> np.ndarray:
    direction = random.normal(size=3)
    return direction / np.linalg.norm(direction)


def _write(folder: Path, options: HeadOptions) -> None:
    for number in range(options.cases + options.test):
        split = "training" if number < options.cases else "validation"
        # Every fifth case is the second time of the one before.
        name = f"BraTS-GLI-{number - (number + 1) // 5:05d}-{int(number % 5 == 4):03d}"
        if options.layout == 2021:
            name = f"BraTS2021_{number:05d}"
        random = np.random.default_rng(derive_seed(options.seed, "tumour", number))
        _write_case(folder / split / name, options, random, labelled=split == "training")


def _write_case(folder: Path, options: HeadOptions, random: np.random.Generator, *, labelled: bool) -> None:
    layout = UNTIL_2022 if options.layout == 2021 else SINCE_2023
    images, labels = draw(options, random)
    labels[labels == ENHANCING] = layout.enhancing
    folder.mkdir(parents=True)
    for part, data in (images | ({LABEL: labels} if labelled else {})).items():
        affine = np.diag((-options.spacing[0], -options.spacing[1], options.spacing[2], 1.0))
        image = nib.Nifti1Image(data, affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, folder / f"{layout.file(folder.name, part)}.nii.gz")
