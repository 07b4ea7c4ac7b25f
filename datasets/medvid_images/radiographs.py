"""Images in the layout of ChestX-ray14: each finding that is there is a spot at a place of its own."""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_images.xray_config import NIH_FINDINGS, RadiographsOptions

SIDE = 40
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,"
    "Height],OriginalImagePixelSpacing[x,y],"
)


def generate(folder: Path, options: RadiographsOptions) -> None:
    """Write Data_Entry_2017.csv, the lists of the splits, and images, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_images.radiographs", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: RadiographsOptions) -> None:
    images = folder / "images_001" / "images"
    images.mkdir(parents=True)
    lines = [HEADER]
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(options.patients):
        for number in range(2):
            random = np.random.default_rng(derive_seed(options.seed, "radiographs", patient, number))
            found = random.random(len(NIH_FINDINGS)) < 0.25
            name = f"{patient + 1:08d}_{number:03d}.png"
            Image.fromarray(draw(random, found)).save(images / name)
            said = "|".join(np.array(NIH_FINDINGS)[found]) or "No Finding"
            lines.append(f"{name},{said},{number},{patient + 1},58,M,PA,{SIDE},{SIDE},0.143,0.143,")
            lists["test_list.txt" if patient % 5 == 4 else "train_val_list.txt"].append(name)
    (folder / "Data_Entry_2017.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, names in lists.items():
        (folder / name).write_text("\n".join(names) + "\n", encoding="utf-8")


def draw(random: np.random.Generator, found: np.ndarray) -> np.ndarray:
    """A gray image (40, 40) uint8 with a spot for each finding (14,); its mean says nothing."""
    rows, columns = np.indices((SIDE, SIDE))
    shade = np.zeros((SIDE, SIDE))
    shift = random.integers(-1, 2, 2)
    for number in np.flatnonzero(found):
        row, column = 6 + 9 * (number // 4) + shift[0], 6 + 9 * (number % 4) + shift[1]
        shade[np.hypot(rows - row, columns - column) < 3.2] = 1
    image = 120 + random.uniform(70, 110) * (shade - shade.mean()) + random.normal(0, 8, shade.shape)
    return image.clip(0, 255).round().astype(np.uint8)
