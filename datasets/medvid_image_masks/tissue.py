"""Images that look like stained tissue, in MedT's layout: glands or nuclei to be found by their texture and shape.

Colours are no help: inside and outside are painted with the same stains, and a test bounds what the colour of a pixel
alone can do.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_image_masks.config import TissueOptions

HEMATOXYLIN, EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)
"""Optical density of red, green and blue per unit of stain (Ruifrok and Johnston, 2001)."""

_BLUE, _PINK, _VARIATION = 0.12, 0.45, 0.13  # density of the stains outside nuclei

Shape = tuple[int, int]
Radii = tuple[float, float] | np.ndarray
Picture = tuple[np.ndarray, np.ndarray]
Painter = Callable[[np.random.Generator, Shape], Picture]


def generate_glands(folder: Path, options: TissueOptions) -> None:
    """Write images of glands, see `glands`, unless the folder already holds exactly these.

    The folder gets ``train/img/0001.png`` ..., ``train/labelcol/0001.png`` ... (black and white), and the same under
    ``val`` and ``test``. It appears under its name only once it is complete.

    Raises:
        DataError: the folder holds something else.
    """
    _generate(folder, options, glands)


def generate_nuclei(folder: Path, options: TissueOptions) -> None:
    """Write images of nuclei, see `nuclei`, like `generate_glands`."""
    _generate(folder, options, nuclei)


def _generate(folder: Path, options: TissueOptions, paint: Painter) -> None:
    description = {
        "generator": f"medvid_image_masks.tissue.{paint.__name__}",
        "options": options.model_dump(mode="json"),
    }
    generate_once(folder, {**description, "format": 1}, partial(_write_splits, options=options, paint=paint))


def _write_splits(folder: Path, options: TissueOptions, paint: Painter) -> None:
    number = 0
    for split, count in (("train", options.train), ("val", options.validation), ("test", options.test)):
        for _ in range(count):
            number += 1
            random = np.random.default_rng(derive_seed(options.seed, "tissue", number))
            picture, mask = paint(random, options.size)
            for kind, array in (("img", picture), ("labelcol", mask * np.uint8(255))):
                path = folder / split / kind / f"{number:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)


def glands(random: np.random.Generator, shape: Shape) -> Picture:
    """Glands in connective tissue: a bright middle, cytoplasm around it, and a row of nuclei at the rim.

    The tissue between them has the same stains: fibres instead of cytoplasm, scattered nuclei, bright clefts.

    Returns:
        Image (H, W, 3) uint8, and mask (H, W) of the glands.
    """
    tissue, angle = _Tissue(random, shape), random.uniform(0, np.pi)
    tissue.eosin += _VARIATION * _streaks(random, shape, angle)
    for _ in range(shape[0] * shape[1] // 1000):
        tissue.empty(
            tissue.blob(random.uniform((0, 0), shape), (random.uniform(3, 8), random.uniform(3, 8)), angle) < 1
        )
    for _ in range(shape[0] * shape[1] // 100):
        tissue.nucleus(random.uniform((0, 0), shape), (random.uniform(2.2, 3.6), 1.8), angle + random.normal(0, 0.4))
    glands = np.zeros(shape, bool)
    for _ in range(8):
        centre, radii = random.uniform((0, 0), shape), random.uniform(0.14, 0.3, 2) * min(shape)
        level = tissue.blob(centre, radii, random.uniform(0, np.pi))
        if not (glands & (level < 1.15)).any():
            _paint_gland(tissue, level, centre)
            glands |= level < 1
    return tissue.develop(), glands


def _paint_gland(tissue: "_Tissue", level: np.ndarray, centre: np.ndarray) -> None:
    random, inside = tissue.random, level < 1
    tissue.hematoxylin[inside] = _BLUE
    tissue.eosin[inside] = _PINK + _VARIATION * _grain(random, level.shape)[inside]
    tissue.empty(level < random.uniform(0.25, 0.5))
    rim = random.permutation(np.argwhere(np.abs(level - 0.82) < 0.06))
    placed: list[np.ndarray] = []
    for point in rim:
        if all(np.hypot(*(point - other)) > 4.5 for other in placed):
            placed.append(point)
            tissue.nucleus(point, (random.uniform(2.4, 3.6), 1.8), np.arctan2(*(point - centre)))


def nuclei(random: np.random.Generator, shape: Shape) -> Picture:
    """Oval nuclei, dark and grainy or pale with a dark rim, among smears and dark fibres of the same stains.

    Returns:
        Image (H, W, 3) uint8, and mask (H, W) of the nuclei.
    """
    tissue, angle = _Tissue(random, shape), random.uniform(0, np.pi)
    tissue.eosin += _VARIATION * _streaks(random, shape, angle)
    tissue.hematoxylin += 0.45 * np.maximum(_streaks(random, shape, angle) - 0.9, 0)
    for _ in range(shape[0] * shape[1] // 800):
        smear = tissue.blob(random.uniform((0, 0), shape), random.uniform(6, 14, 2), random.uniform(0, np.pi))
        np.maximum(tissue.hematoxylin, 0.9 * np.exp(-(smear**4)), out=tissue.hematoxylin)
    found, grain = np.zeros(shape, bool), _grain(random, shape)
    for _ in range(shape[0] * shape[1] // 250):
        level = tissue.blob(random.uniform((0, 0), shape), random.uniform(4, 7.5, 2), random.uniform(0, np.pi), 0.03)
        if (found & (level < 1.2)).any():
            continue
        inside, rim = level < 1, (level < 1) & (level > 0.72)
        body = random.choice((_BLUE + 0.12, 0.65))
        tissue.hematoxylin[inside] = body + 0.12 * grain[inside]
        tissue.hematoxylin[rim] = random.normal(0.8, 0.08)
        found |= inside
    return tissue.develop(), found


class _Tissue:
    """The stains of each pixel, before the camera.

    Args:
        random: the only source of randomness.
        shape: height and width in pixels.
    """

    def __init__(self, random: np.random.Generator, shape: Shape) -> None:
        self.random = random
        self.hematoxylin, self.eosin = np.full(shape, _BLUE), np.full(shape, _PINK)
        self._positions = np.moveaxis(np.indices(shape, dtype=np.float64), 0, 2)

    def blob(self, centre: np.ndarray, radii: Radii, angle: float, wobble: float = 0.06) -> np.ndarray:
        """Distance of each pixel from the centre, relative to the rim of a wobbly ellipse, which is at 1."""
        along, across = self._turned(self._positions - centre, angle)
        direction = np.arctan2(across, along)
        phases, heights = self.random.uniform(0, 2 * np.pi, 4), self.random.normal(0, wobble, 4)
        waves = (h * np.cos(k * direction + p) for k, p, h in zip(range(2, 6), phases, heights, strict=True))
        return np.hypot(along / radii[0], across / radii[1]) / (1 + sum(waves))

    def empty(self, where: np.ndarray) -> None:
        """Leave the glass bare."""
        self.hematoxylin[where], self.eosin[where] = 0.02, 0.06

    def nucleus(self, centre: np.ndarray, radii: Radii, angle: float) -> None:
        """Paint a small dark ellipse."""
        top, left = np.maximum(np.rint(centre).astype(int) - 6, 0)
        near = (slice(top, top + 13), slice(left, left + 13))
        along, across = self._turned(self._positions[near] - centre, angle)
        self.hematoxylin[near][np.hypot(along / radii[0], across / radii[1]) < 1] = self.random.normal(0.9, 0.12)

    def develop(self) -> np.ndarray:
        """The camera's image (H, W, 3); staining differs from image to image."""
        stains = np.stack([ndimage.gaussian_filter(stain, 0.6) for stain in (self.hematoxylin, self.eosin)], axis=2)
        density = stains * self.random.normal(1, 0.1, 2) @ np.array([HEMATOXYLIN, EOSIN])
        seen = 255 * np.exp(-density - self.random.normal(0, 0.03, density.shape))
        return seen.clip(0, 255).round().astype(np.uint8)

    @staticmethod
    def _turned(offsets: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (..., row and column) along a direction and across it."""
        y, x = offsets[..., 0], offsets[..., 1]
        return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _grain(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Fine noise without direction, with variance 1."""
    noise = ndimage.gaussian_filter(random.normal(size=shape), 1.2)
    return noise / noise.std()


def _streaks(random: np.random.Generator, shape: Shape, angle: float) -> np.ndarray:
    """Noise stretched in one direction, with variance 1."""
    side = int(np.hypot(*shape)) + 2
    noise = ndimage.gaussian_filter(random.normal(size=(side, side)), (0.8, 6))
    turned = ndimage.rotate(noise, -np.degrees(angle), reshape=False, order=1, mode="reflect")
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    cut = turned[top : top + shape[0], left : left + shape[1]]
    return cut / cut.std()
