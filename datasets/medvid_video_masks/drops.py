"""Videos of a bright drop that drifts and swells in noise."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.data.videos.encoding import encode
from medvid.seeding import derive_seed
from medvid_video_masks.config import DropsOptions

RATE = Fraction(25)


def generate(folder: Path, options: DropsOptions) -> None:
    """Write videos and masks of some of their frames, unless the folder already holds exactly these.

    The folder gets ``train/videos/0001.mp4``, ``train/masks/0001/00003.png`` ... and the same under ``val``.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_video_masks.drops", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: DropsOptions) -> None:
    number = 0
    for split, count in (("train", options.train), ("val", options.validation)):
        for _ in range(count):
            number += 1
            random = np.random.default_rng(derive_seed(options.seed, "drops", number))
            frames, masks = film(random, options)
            videos, place = folder / split / "videos", folder / split / "masks" / f"{number:04d}"
            videos.mkdir(parents=True, exist_ok=True)
            place.mkdir(parents=True)
            encode(videos / f"{number:04d}.mp4", frames, RATE)
            chosen = random.choice(len(masks), min(options.annotated, len(masks)), replace=False)
            for frame in sorted(chosen.tolist()):
                Image.fromarray(masks[frame] * np.uint8(255)).save(place / f"{frame:05d}.png")


def film(random: np.random.Generator, options: DropsOptions) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, H, W, 3) uint8, and where the drop is in each, (T, H, W) bool."""
    height, width = options.size
    rows, columns = np.indices(options.size)
    time = np.arange(options.length)[:, None, None] / 25
    phase, turn = random.uniform(0, 2 * np.pi, 2)
    radius = min(height, width) * random.uniform(0.18, 0.26) * (1 + 0.35 * np.sin(2 * np.pi * time + phase))
    middle = [length * random.uniform(0.35, 0.65) for length in options.size]
    drift = min(height, width) * 0.12 * np.sin(3 * time + turn)
    level = np.hypot(rows - middle[0] - drift, columns - middle[1] + drift) / radius
    noise = ndimage.gaussian_filter(random.standard_normal((options.length, height, width)), (0.5, 0.8, 0.8))
    shade = 90 + 35 * np.clip((1 - level) * 4, -1, 1) + 60 * noise
    frames = np.repeat(shade[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)
    return frames, level < 1
