"""Generated cine loops in EchoNet-Dynamic's layout. They show no patient, and are not a substitute for real ones.

A dark ventricle beats in speckled tissue. Its volume at end diastole, shape, angle and place, the heart rate, the gain
and where in the cycle a video begins are drawn independently of the ejection fraction. So no single frame tells it:
that takes the largest and the smallest ventricle of a beat.
"""

import csv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_echonet.config import CineLoopOptions
from medvid_echonet.index import FILE_LIST, VIDEOS
from medvid_echonet.tracing_table import SUFFIX, TRACINGS

FPS = 50
_SYSTOLE = 0.38
"""Share of a cycle in which the ventricle contracts."""
_CM = 15.0
"""Height and width that a frame shows."""
_CHORDS = 20
_TISSUE, _BLOOD, _WALL = 95.0, 22.0, 140.0
_WALL_WIDTH = 0.05
_THREADS = 2  # rendering and coding release the interpreter's lock


@dataclass(frozen=True, slots=True)
class Heart:
    """A ventricle: an ellipsoid that is turned about its length; lengths are shares of the frame's side.

    Args:
        centre: row and column at the middle.
        length: half of the long axis at end diastole.
        width: half of the short axes at end diastole.
        angle: of the long axis against the vertical, in radians.
        ejection_fraction: 0 to 1.
        period: of the beat, in frames.
        phase: where in the cycle the first frame lies, 0 to 1, from end diastole.
        sway: how far the heart moves to and fro with each breath.
    """

    centre: tuple[float, float]
    length: float
    width: float
    angle: float
    ejection_fraction: float
    period: float
    phase: float
    sway: float

    @classmethod
    def draw(cls, random: np.random.Generator, options: CineLoopOptions) -> "Heart":
        """A heart of any patient."""
        length = random.uniform(0.24, 0.32)
        return cls(
            centre=(random.uniform(0.44, 0.54), random.uniform(0.44, 0.56)),
            length=length,
            width=length * random.uniform(0.45, 0.68),
            angle=random.uniform(-0.5, 0.5),
            ejection_fraction=random.uniform(*options.ejection_fraction) / 100,
            period=60 * FPS / random.uniform(*options.beats),
            phase=random.uniform(0, 1),
            sway=random.uniform(0, 0.02),
        )

    def contraction(self, frame: np.ndarray | int) -> np.ndarray:
        """How far it has contracted in a frame: 0 at end diastole, 1 at end systole."""
        cycle = (np.asarray(frame) / self.period + self.phase) % 1
        down, up = cycle / _SYSTOLE, (cycle - _SYSTOLE) / (1 - _SYSTOLE)
        contraction: np.ndarray = np.where(cycle < _SYSTOLE, 1 - np.cos(np.pi * down), 1 + np.cos(np.pi * up)) / 2
        return contraction

    def axes(self, frame: int) -> tuple[float, float]:
        """Half of the long and of the short axes in a frame; the short ones shrink twice as much."""
        left = 1 - self.ejection_fraction * float(self.contraction(frame))
        return self.length * left**0.2, self.width * left**0.4

    def place(self, frame: int) -> tuple[float, float]:
        """The centre in a frame."""
        breath = self.sway * np.sin(2 * np.pi * (frame / (4 * FPS) + self.phase))
        return self.centre[0] + float(breath), self.centre[1]

    def volume(self, frame: int) -> float:
        """In ml."""
        length, width = self.axes(frame)
        return 4 / 3 * np.pi * length * width**2 * _CM**3

    def chords(self, frame: int, size: int) -> np.ndarray:
        """X1, Y1, X2, Y2 of the long axis and of chords across it, from the base to the apex (21, 4), in pixels."""
        (length, width), centre = self.axes(frame), self.place(frame)
        along = np.concatenate([[1.0], np.linspace(-0.97, 0.97, _CHORDS)])
        across = width * np.sqrt(1 - along[1:] ** 2)
        starts = np.stack([np.concatenate([[-length], length * along[1:]]), np.concatenate([[0.0], -across])], 1)
        ends = np.stack([np.concatenate([[length], length * along[1:]]), np.concatenate([[0.0], across])], 1)
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])  # (along, across) to (row, column)
        points = [(one @ turn + centre) * size - 0.5 for one in (starts, ends)]
        return np.concatenate([points[0][:, ::-1], points[1][:, ::-1]], axis=1)


def generate(folder: Path, options: CineLoopOptions) -> None:
    """Write FileList.csv, VolumeTracings.csv and Videos, unless the folder already holds exactly these.

    Args:
        folder: the folder to make; other loops in it are replaced.
        options: how many, how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_echonet.loops", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write, options=options))


def film(heart: Heart, frames: int, size: int, random: np.random.Generator) -> np.ndarray:
    """A video of a heart.

    Args:
        heart: the heart.
        frames: how many.
        size: height and width in pixels.
        random: of gain and speckle.

    Returns:
        (T, size, size) uint8.
    """
    rows, columns = (np.indices((size, size)) + 0.5) / size
    sector = np.abs(columns - 0.5) < 0.62 * rows + 0.03
    texture = ndimage.gaussian_filter(random.standard_normal((size, size)), size / 28)
    tissue = _TISSUE * (1 + 0.35 * texture / texture.std())
    gain, sharp = random.uniform(0.6, 1.35), size / 56
    pictures = np.empty((frames, size, size), np.uint8)
    for frame in range(frames):
        (length, width), centre = heart.axes(frame), heart.place(frame)
        down, right = rows - centre[0], columns - centre[1]
        along = down * np.cos(heart.angle) + right * np.sin(heart.angle)
        across = right * np.cos(heart.angle) - down * np.sin(heart.angle)
        wall = np.hypot(along / (length + _WALL_WIDTH), across / (width + _WALL_WIDTH)) < 1
        blood = np.hypot(along / length, across / width) < 1
        brightness = np.where(blood, _BLOOD, np.where(wall, _WALL, tissue))
        speckle = ndimage.gaussian_filter(random.exponential(1, (size, size)), sharp / 2)
        pictures[frame] = (np.where(sector, gain * brightness * speckle, 0)).clip(0, 255)
    return pictures


def encode(path: Path, frames: np.ndarray) -> None:
    """Write frames (T, H, W) uint8 as an AVI file of JPEG pictures, as the published videos are."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(FPS), options={"q:v": "2", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuvj420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def _write(folder: Path, options: CineLoopOptions) -> None:
    (folder / VIDEOS).mkdir()
    splits = ("TRAIN",) * options.train + ("VAL",) * options.validation + ("TEST",) * options.test
    with ThreadPoolExecutor(_THREADS) as threads:
        written = [*threads.map(partial(_write_video, folder / VIDEOS, options), range(len(splits)))]
    files = [row | {"Split": split} for (row, _), split in zip(written, splits, strict=True)]
    _write_table(folder / FILE_LIST, files)
    _write_table(folder / TRACINGS, [row for _, rows in written for row in rows])


def _write_video(folder: Path, options: CineLoopOptions, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write a video; returns its rows in the two tables."""
    seed = derive_seed(options.seed, "loop", number)
    random, size = np.random.default_rng(seed), options.size
    heart, count = Heart.draw(random, options), int(random.integers(options.frames[0], options.frames[1] + 1))
    name = f"0X{seed % (1 << 64):016X}"
    encode(folder / f"{name}{SUFFIX}", film(heart, count, size, random))
    contraction = heart.contraction(np.arange(count))
    largest, smallest = int(contraction.argmin()), int(contraction.argmax())
    diastolic, systolic = heart.volume(largest), heart.volume(smallest)
    row = {
        "FileName": name,
        "EF": f"{100 * (diastolic - systolic) / diastolic:.4f}",
        **{"ESV": f"{systolic:.4f}", "EDV": f"{diastolic:.4f}"},
        **{"FrameHeight": size, "FrameWidth": size, "FPS": FPS, "NumberOfFrames": count},
    }
    traced = (smallest, largest) if random.random() < 0.9 else (largest, smallest)
    return row, [
        {"FileName": f"{name}{SUFFIX}", **dict(zip(("X1", "Y1", "X2", "Y2"), chord, strict=True)), "Frame": frame}
        for frame in traced
        for chord in np.round(heart.chords(frame, size), 4).tolist()
    ]


def _write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
