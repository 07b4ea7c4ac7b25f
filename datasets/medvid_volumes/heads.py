"""Scans of heads in the layout of a user's own volumes: a table says age, sex and lesions.

Ventricles, dark in the middle, widen with age; a lesion is a small bright ball anywhere in the brain; skulls of men are
thicker. The mean brightness of a scan, which differs by scanner, tells none of them.
"""

import csv
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_volumes.config import HeadsOptions

SPACING = (2.0, 2.0, 2.5)
COLUMNS = ("path", "patient", "age", "sex", "lesion", "split")


def generate(folder: Path, options: HeadsOptions) -> None:
    """Write scans ``p001.nii.gz`` ..., and labels.csv, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_volumes.heads", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: HeadsOptions) -> None:
    rows = []
    for number in range(options.patients):
        random = np.random.default_rng(derive_seed(options.seed, "heads", number))
        scan, said = draw(random, options.size, number)
        name = f"p{number + 1:03d}"
        nib.save(nib.Nifti1Image(scan, np.diag([*SPACING, 1.0])), folder / f"{name}.nii.gz")
        split = "test" if number % 5 == 4 else "validation" if number % 5 == 3 else "train"
        rows.append({"path": f"{name}.nii.gz", "patient": name, "split": split, **said})
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def draw(random: np.random.Generator, shape: tuple[int, int, int], number: int) -> tuple[np.ndarray, dict[str, object]]:
    """A head: skull, brain, ventricles and perhaps a lesion.

    Returns:
        Scan (X, Y, Z) int16, and what is in it.
    """
    age, is_male, has_lesion = int(random.integers(20, 90)), bool(number % 2), bool(number // 2 % 2)
    places = [(np.arange(length) - (length - 1) / 2) / (length / 2) for length in shape]
    x, y, z = np.meshgrid(*places, indexing="ij")
    head = np.sqrt((x / 0.9) ** 2 + (y / 0.95) ** 2 + (z / 0.9) ** 2)
    scan = np.where(head < 1, 0.9, 0.0)  # skull
    brain = head < (0.72 if is_male else 0.86)
    scan[brain] = 0.5
    width = 0.1 + 0.3 * (age - 20) / 70
    scan[(x / width) ** 2 + (y / (1.6 * width)) ** 2 + (z / width) ** 2 < 1] = 0.15
    if has_lesion:
        direction = random.normal(size=3)
        centre = 0.55 * direction / np.linalg.norm(direction)
        ball = np.sqrt(sum((axis - place) ** 2 for axis, place in zip((x, y, z), centre, strict=True))) < 0.2
        scan[ball] = 0.8
    noisy = scan * random.uniform(600, 1200) + random.normal(0, 15, shape)
    said: dict[str, object] = {"age": age, "sex": "m" if is_male else "f", "lesion": "yes" if has_lesion else "no"}
    return noisy.clip(0).round().astype(np.int16), said
