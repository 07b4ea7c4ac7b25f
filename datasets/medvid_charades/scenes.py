"""Videos in Charades' layout, whose actions are the directions in which objects move, each from one time to another.

There is an object for each action. It moves while the action takes place and stands still before and after, or always
where the action does not take place. So a single frame says nothing; several actions overlap, and which of them take
place is drawn for each on its own.
"""

import csv
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.data.videos.encoding import encode
from medvid.seeding import derive_seed
from medvid_charades.config import ScenesOptions

DIRECTIONS = {
    "An object moves down": (1, 0),
    "An object moves left": (0, -1),
    "An object moves right": (0, 1),
    "An object moves up": (-1, 0),
}
"""The actions, and the direction of each along rows and columns."""

_FPS = Fraction(24)
_SPEED = (12.0, 18.0)
"""Pixels per second."""
_VIDEOS_PER_SUBJECT = 4
_THREADS = 2  # rendering and coding release the interpreter's lock


class _Scene(NamedTuple):
    """A video, and what its line of the table says."""

    id: str
    subject: str
    actions: list[tuple[int, float, float]]
    frames: np.ndarray


def generate(folder: Path, options: ScenesOptions) -> None:
    """Write ``Charades_v1_480/AAAAA.mp4`` ..., the tables and the names of the actions, unless they are there already.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_charades.scenes", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: ScenesOptions) -> None:
    (folder / "Charades_v1_480").mkdir()
    names = "".join(f"c{number:03d} {name}\n" for number, name in enumerate(DIRECTIONS))
    (folder / "Charades_v1_classes.txt").write_text(names)
    for split, count in (("train", options.train), ("test", options.test)):
        with ThreadPoolExecutor(_THREADS) as threads:
            rows = list(threads.map(partial(_write_video, folder, options, split), range(count)))
        with (folder / f"Charades_v1_{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "subject", "actions", "length"))
            writer.writerows(rows)


def _write_video(folder: Path, options: ScenesOptions, split: str, number: int) -> tuple[str, ...]:
    scene = _scene(options, split, number)
    encode(folder / "Charades_v1_480" / f"{scene.id}.mp4", scene.frames, _FPS)
    actions = ";".join(f"c{label:03d} {start:.2f} {end:.2f}" for label, start, end in scene.actions)
    return scene.id, scene.subject, actions, f"{float(len(scene.frames) / _FPS):.2f}"


def _scene(options: ScenesOptions, split: str, number: int) -> _Scene:
    random = np.random.default_rng(derive_seed(options.seed, "scene", split, number))
    low, high = options.size
    shape = (2 * random.integers((low + 1) // 2, high // 2 + 1, 2)).tolist()  # half as many points of colour
    times = np.arange(round(random.uniform(*options.seconds) * _FPS)) / float(_FPS)
    clouds = ndimage.gaussian_filter(random.standard_normal((*shape, 3), np.float32), (5, 5, 0))
    frames = np.broadcast_to(random.uniform(30, 80, 3) + 10 * clouds / clouds.std(), (len(times), *shape, 3)).copy()
    actions = []
    for label, direction in enumerate(DIRECTIONS.values()):
        start, end = _when(random, times[-1])
        velocity = random.uniform(*_SPEED) * np.array(direction)
        if random.random() < options.share:
            actions.append((label, start, end))
        else:
            velocity = np.zeros(2)
        _draw(frames, random, (np.clip(times, start, end) - start)[:, None] * velocity)
    letter = "T" if split == "test" else "A"
    subject = f"{split.upper()}{number // _VIDEOS_PER_SUBJECT:03d}"
    return _Scene(f"{letter}{number:04d}", subject, actions, frames.clip(0, 255).round().astype(np.uint8))


def _when(random: np.random.Generator, last: float) -> tuple[float, float]:
    """When an action begins and ends: it takes half of the video, or more."""
    lasts = random.uniform(0.5, 0.8) * last
    start = random.uniform(0, last - lasts)
    return round(start, 2), round(start + lasts, 2)


def _draw(frames: np.ndarray, random: np.random.Generator, moved: np.ndarray) -> None:
    """Draw an ellipse into frames (T, H, W, 3), moved by so many pixels (T, 2); it comes in where it goes out."""
    shape = np.array(frames.shape[1:3])
    centre, radii, colour = random.uniform(0, shape), random.uniform(3.5, 6, 2), random.uniform(150, 255, 3)
    for frame, place in zip(frames, centre + moved, strict=True):
        offsets = [
            (np.arange(length) - at + length / 2) % length - length / 2 for length, at in zip(shape, place, strict=True)
        ]
        distance = np.hypot(offsets[0][:, None] / radii[0], offsets[1] / radii[1])
        cover = ((1 - distance) * radii.min() + 0.5).clip(0, 1)[..., None]
        frame[:] = frame + cover * (colour - frame)
