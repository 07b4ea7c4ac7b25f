"""Pictures of cells in the layout of a user's own images: a table says what is in each.

The colour of a picture tells its stain alone. Mitosis and vacuoles are shapes within single cells, and cells have to be
counted; a picture's brightness, which differs by patient, tells none of them.
"""

import csv
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_images.config import CellsOptions

STAINS = {"blue": (0.35, 0.45, 0.8), "brown": (0.65, 0.42, 0.25), "pink": (0.85, 0.35, 0.6)}
MOST = 9
"""Cells in a picture, at most."""
COLUMNS = ("path", "patient", "split", "stain", "mitosis", "vacuole", "cells")


def generate(folder: Path, options: CellsOptions) -> None:
    """Write pictures ``p001/1.png`` ..., and labels.csv, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_images.cells", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: CellsOptions) -> None:
    rows = []
    for patient in range(options.patients):
        split = "test" if patient % 5 == 4 else "validation" if patient % 5 == 3 else "train"
        light = np.random.default_rng(derive_seed(options.seed, "patient", patient)).uniform(0.75, 1)
        for number in (1, 2):
            random = np.random.default_rng(derive_seed(options.seed, "cells", patient, number))
            path = folder / f"p{patient + 1:03d}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            picture, said = paint(random, options.size, [*STAINS][(2 * patient + number) % len(STAINS)])
            Image.fromarray((255 * light * picture).round().astype(np.uint8)).save(path)
            rows.append(
                {"path": path.relative_to(folder).as_posix(), "patient": path.parent.name, "split": split, **said}
            )
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def paint(random: np.random.Generator, shape: tuple[int, int], stain: str) -> tuple[np.ndarray, dict[str, object]]:
    """Cells on a bright ground: discs of the stain, some with two dark halves (mitosis) or a bright hole (vacuole).

    Returns:
        Picture (H, W, 3) in [0, 1], and what is in it.
    """
    picture = np.full((*shape, 3), 0.93) + random.normal(0, 0.02, (*shape, 1))
    rows, columns = np.indices(shape)
    count = int(random.integers(1, MOST + 1))
    mitosis, vacuole = (bool(random.integers(2)) for _ in range(2))
    places = _places(random, shape, count)
    for number, (row, column) in enumerate(places):
        distance = np.hypot(rows - row, columns - column)
        picture[distance < 4.6] = STAINS[stain]
        if mitosis and number == 0:
            picture[(distance < 4.6) & (np.abs(columns - column) > 1.2)] *= 0.35
        elif vacuole and number == len(places) - 1:
            picture[distance < 2.6] = 0.97
        else:
            picture[distance < 2.0] *= 0.6
    has_vacuole = vacuole and not (mitosis and len(places) == 1)
    said = {"stain": stain, "mitosis": int(mitosis), "vacuole": int(has_vacuole), "cells": len(places)}
    return picture.clip(0, 1), said


def _places(random: np.random.Generator, shape: tuple[int, int], count: int) -> list[np.ndarray]:
    """Centres of cells that do not touch; fewer where there is no room."""
    placed: list[np.ndarray] = []
    for _ in range(60):
        place = random.uniform((6, 6), np.array(shape) - 6)
        if len(placed) < count and all(np.hypot(*(place - other)) > 10.5 for other in placed):
            placed.append(place)
    return placed
