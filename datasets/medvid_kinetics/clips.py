"""Short clips in Kinetics' layout whose classes differ by motion alone: an object that moves left, right, up or down.

A single frame carries no information. The object leaves the frame on one side and enters on the other, so at every time
all places are equally likely, and everything else is drawn in the same way for all classes. Each frame is coded
separately at a fixed quantiser, so a decoded frame depends on that frame alone, without a trail of the motion.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.data.videos.encoding import encode
from medvid.seeding import derive_seed
from medvid_kinetics.config import ClipsOptions

DIRECTIONS = {"moving down": (1, 0), "moving left": (0, -1), "moving right": (0, 1), "moving up": (-1, 0)}
"""The classes, and the direction of each along rows and columns."""

FRAME_RATES = (Fraction(10), Fraction(15), Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30))
"""Frames per second of the clips."""

_THREADS = 2  # rendering and coding release the interpreter's lock


def generate(folder: Path, options: ClipsOptions) -> None:
    """Write the clips, unless the folder already holds exactly these.

    The folder gets ``train/moving left/0001.mp4`` ... and the same under ``val``. It appears under its name only once
    it is complete.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_kinetics.clips.generate", "options": options.model_dump(mode="json")}
    generate_once(folder, {**description, "format": 1}, partial(_write_splits, options=options))


def _write_splits(folder: Path, options: ClipsOptions) -> None:
    files = list(_files(options))
    for parent in {file.parent for file in files}:
        (folder / parent).mkdir(parents=True)
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(partial(_write_clip, folder, options), files):
            pass  # raises the errors of the threads


def _files(options: ClipsOptions) -> Iterator[Path]:
    for split, count in (("train", options.train), ("val", options.validation)):
        for name in DIRECTIONS:
            yield from (Path(split, name, f"{number:04d}.mp4") for number in range(1, count + 1))


def _write_clip(folder: Path, options: ClipsOptions, file: Path) -> None:
    random = np.random.default_rng(derive_seed(options.seed, "clip", file.as_posix()))
    rate = FRAME_RATES[random.integers(len(FRAME_RATES))]
    encode(folder / file, film(random, options, DIRECTIONS[file.parent.name], rate), rate)


def film(random: np.random.Generator, options: ClipsOptions, direction: tuple[int, int], rate: Fraction) -> np.ndarray:
    """An object that moves at a constant speed over a background that stands still.

    Args:
        random: the only source of randomness; the draws do not depend on the direction.
        options: the ranges of size, length and speed.
        direction: along rows and columns.
        rate: frames per second.

    Returns:
        Frames (T, H, W, 3) uint8.
    """
    low, high = options.size
    height, width = (2 * random.integers((low + 1) // 2, high // 2 + 1, 2)).tolist()  # half as many points of colour
    period = min(height, width)
    background, colour = _colours(random, (height, width))
    object_, start = _object(random, period), random.integers(period, size=2)
    times = np.arange(round(random.uniform(*options.seconds) * rate)) / float(rate)
    travelled = np.rint(times * random.uniform(*options.speed) * period).astype(int)
    cover = np.stack([np.roll(object_, start + steps * np.array(direction), axis=(0, 1)) for steps in travelled])
    cover = np.pad(cover, ((0, 0), (0, height - period), (0, width - period)), mode="wrap")
    frames = background + cover[..., np.newaxis] * (colour - background)
    return frames.round().astype(np.uint8)


def _colours(random: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A cloudy background (H, W, 3), and the colour of an object that contrasts with it; float32, 0 to 255."""
    clouds = ndimage.gaussian_filter(random.standard_normal((*shape, 3), np.float32), (6, 6, 0))
    background = random.uniform(20, 70, 3) + 10 * clouds / clouds.std()
    colour = random.uniform(170, 255, 3)
    return background.clip(0, 255).astype(np.float32), colour.astype(np.float32)


def _object(random: np.random.Generator, period: int) -> np.ndarray:
    """The share of each pixel (period, period) covered by an object at the origin that wraps around the edges.

    It looks the same after half a turn, so it has no front.
    """
    offsets = (np.arange(period, dtype=np.float32) + period / 2) % period - period / 2
    y, x = offsets[:, np.newaxis], offsets
    angle, exponent = random.uniform(0, np.pi), random.choice((1.0, 2.0, 8.0))  # a diamond, an ellipse, almost a box
    radii = random.uniform(0.19, 0.27, 2) * period
    along = np.abs(x * np.cos(angle) + y * np.sin(angle)) / radii[0]
    across = np.abs(y * np.cos(angle) - x * np.sin(angle)) / radii[1]
    level = (along**exponent + across**exponent) ** (1 / exponent)  # 1 at the rim
    return np.asarray(((1 - level) * radii.min() + 0.5).clip(0, 1), np.float32)
