"""Sets in MedMNIST's form: rings and discs, or shells and balls, whose number tells the class; brightness does not.

A class is a number of rings around a place that differs; a label is a disc in a row of its own, or none.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_medmnist.archive import PARTS
from medvid_medmnist.config import ShapesOptions
from medvid_medmnist.sets import SETS, MedMNISTSet

SIDE = 28


def generate(folder: Path, options: ShapesOptions) -> None:
    """Write ``<flag>.npz`` of each set, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_medmnist.shapes", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: ShapesOptions) -> None:
    for flag in options.flags:
        np.savez_compressed(folder / f"{flag}.npz", **_arrays(flag, options))


def _arrays(flag: str, options: ShapesOptions) -> dict[str, Any]:
    one, arrays = SETS[flag], {}
    for split, prefix in PARTS.items():
        count = getattr(options, split)
        random = np.random.default_rng(derive_seed(options.seed, flag, split))
        labels = _labels(random, count, one)
        arrays[f"{prefix}_images"] = np.stack([draw(random, label, one) for label in labels])
        arrays[f"{prefix}_labels"] = labels
    return arrays


def _labels(random: np.random.Generator, count: int, one: MedMNISTSet) -> np.ndarray:
    if one.task == "labels":
        return (random.random((count, len(one.names))) < 0.3).astype(np.uint8)
    return random.permutation(np.arange(count) % len(one.names))[:, None].astype(np.uint8)


def draw(random: np.random.Generator, label: np.ndarray, one: MedMNISTSet) -> np.ndarray:
    """An image (28, 28), (28, 28, 3) or (28, 28, 28), uint8, of a class (1,) or of labels (L,)."""
    axes = 3 if one.is_volume else 2
    shade = _discs(random, label) if one.task == "labels" else _rings(random, int(label[0]), axes)
    image = 110 + random.uniform(60, 120) * shade + random.normal(0, 8, shade.shape) + random.uniform(-30, 0)
    if one.channels == 3:
        image = image[..., None] * random.uniform(0.7, 1.0, 3)
    return image.clip(0, 255).round().astype(np.uint8)


def _rings(random: np.random.Generator, number: int, axes: int) -> np.ndarray:
    """Waves around a place, the more the higher the class; their mean is 0."""
    centre = random.uniform(SIDE / 2 - 4, SIDE / 2 + 4, axes)
    grid = np.indices((SIDE,) * axes)
    distance = np.sqrt(sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True)))
    waves = np.cos(2 * np.pi * (0.05 + 0.03 * number) * distance)
    return (waves - waves.mean()) / 2


def _discs(random: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """A small disc for each label that is there: the labels have 4 x 4 places, and shift a little together."""
    rows, columns = np.indices((SIDE, SIDE))
    shift, shade = random.integers(-1, 2, 2), np.zeros((SIDE, SIDE))
    for number in np.flatnonzero(labels):
        row, column = 4 + 6.5 * (number // 4) + shift[0], 4 + 6.5 * (number % 4) + shift[1]
        shade[np.hypot(rows - row, columns - column) < 2.5] = 1
    return shade - shade.mean()
