"""Generated surgeries: phases in order, instruments by phase, and what the camera sees of them.

The picture shows tissue, which moves with the camera, and the instruments that are in it. A phase is seen by its
instruments alone; two pairs of phases have the same ones, and at times there are none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
from scipy import ndimage

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_surgery.config import (
    CHOLECYSTECTOMY,
    TOOLS,
    AutoLaparoOptions,
    Cholec80Options,
    M2CAI16Options,
    SurgeriesOptions,
    SurgeryOptions,
)

ANNOTATED = 25
"""Frames per second that annotations of Cholec80 and M2CAI16 count."""
_THREADS = 2  # rendering and coding release the interpreter's lock
_QUANTISER = 22  # of H.264, 0 to 51


@dataclass(frozen=True, slots=True)
class Kind:
    """A phase of generated surgeries.

    Args:
        seconds: its usual length.
        missing: share of the surgeries without it.
        tools: for which share of it each instrument is seen.
    """

    seconds: float
    missing: float
    tools: dict[str, float]


_DISSECTION = {"Grasper": 0.7, "Hook": 0.75, "Bipolar": 0.05}
_BAG = {"Grasper": 0.6, "SpecimenBag": 0.8}
KINDS = (
    Kind(12, 0.15, {"Grasper": 0.6}),
    Kind(32, 0, _DISSECTION),
    Kind(15, 0, {"Grasper": 0.5, "Clipper": 0.6, "Scissors": 0.4}),
    Kind(32, 0, _DISSECTION),
    Kind(14, 0, _BAG),
    Kind(18, 0.25, {"Grasper": 0.4, "Irrigator": 0.7, "Bipolar": 0.4}),
    Kind(16, 0.1, _BAG),
)
"""Of the removal of a gallbladder, and in place of those of other surgeries."""
_COLOURS = np.array(
    [(150, 150, 160), (70, 90, 220), (230, 200, 60), (70, 210, 220), (80, 200, 90), (235, 235, 235), (190, 170, 220)],
    np.float32,
)
"""Of the instruments, in the order of `TOOLS`."""


@dataclass(frozen=True, slots=True)
class Surgery:
    """What happens in each frame of a video.

    Args:
        phases: numbers of `KINDS`, (T,).
        tools: 0 or 1, in the order of `TOOLS`, (T, 7).
    """

    phases: np.ndarray
    tools: np.ndarray


Videos = Mapping[str, Path]
"""The folder of each video, by its name."""
Annotate = Callable[[Path, str, Surgery], None]
"""Writes the annotation of a video below a folder."""


def generate_cholec80(folder: Path, options: SurgeriesOptions) -> None:
    """Write videos and annotations as of Cholec80, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else.
    """

    def annotate(root: Path, name: str, surgery: Surgery) -> None:
        _write(root / "phase_annotations" / f"{name}-phase.txt", _phase_rows(surgery, options.fps))
        seen = surgery.tools[_frames_at(1, surgery, options.fps)].tolist()
        rows = [(ANNOTATED * second, *tools) for second, tools in enumerate(seen)]
        _write(root / "tool_annotations" / f"{name}-tool.txt", [("Frame", *TOOLS), *rows])

    videos = {name: Path("videos") for name in _names(Cholec80Options(root=Path()), options)}
    _generate(folder, options, "cholec80", videos, annotate)


def generate_autolaparo(folder: Path, options: SurgeriesOptions) -> None:
    """As `generate_cholec80`, as of AutoLaparo."""

    def annotate(root: Path, name: str, surgery: Surgery) -> None:
        phases = surgery.phases[_frames_at(1, surgery, options.fps)].tolist()
        rows = [(second, phase + 1) for second, phase in enumerate(phases, start=1)]
        _write(root / "labels" / f"label_{name}.txt", [("Frame", "Phase"), *rows])

    videos = {name: Path("videos") for name in _names(AutoLaparoOptions(root=Path()), options)}
    _generate(folder, options, "autolaparo", videos, annotate)


def generate_m2cai16(folder: Path, options: SurgeriesOptions) -> None:
    """As `generate_cholec80`, as of M2CAI16; nobody places trocars in it."""

    def annotate(root: Path, name: str, surgery: Surgery) -> None:
        _write(root / places[name] / f"{name}.txt", _phase_rows(surgery, options.fps))

    names = _names(M2CAI16Options(root=Path()), options)
    places = {name: Path("test_dataset" if name.startswith("test") else "train_dataset") for name in names}
    _generate(folder, options, "m2cai16", places, annotate)


def perform(random: np.random.Generator, options: SurgeriesOptions) -> Surgery:
    """What happens in a surgery; everything else that is seen is drawn by `film`."""
    phases, tools = [], []
    for number, kind in enumerate(KINDS):
        missing, length = random.uniform() < kind.missing, kind.seconds * options.pace * random.lognormal(0, 0.3)
        if missing:
            continue
        count = max(2, round(length * options.fps))
        phases += [number] * count
        shares = [kind.tools.get(tool, 0.0) for tool in TOOLS]
        tools.append(np.stack([_coming_and_going(random, count, share, options.fps) for share in shares], axis=1))
    return Surgery(np.array(phases), np.concatenate(tools))


def film(random: np.random.Generator, surgery: Surgery, size: tuple[int, int], fps: int) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 of a surgery."""
    height, width = size
    tissue = _tissue(random, (2 * height, 2 * width))
    camera = np.cumsum(random.normal(0, 0.6 / np.sqrt(fps), (len(surgery.phases), 2)), axis=0)
    light = 1 + 0.05 * ndimage.gaussian_filter1d(random.standard_normal(len(camera)), 2 * fps, mode="nearest") * fps
    sides = np.where(random.uniform(size=len(TOOLS)) < 0.5, -0.1, 1.1)
    tips = [_wandering(random, len(camera), fps) for _ in TOOLS]
    y, x = np.mgrid[:height, :width] / np.array([height, width], np.float32).reshape(2, 1, 1)
    for number, (seen, (down, right)) in enumerate(zip(surgery.tools, camera.round().astype(int), strict=True)):
        picture = np.roll(tissue, (down, right), (0, 1))[:height, :width] * light[number]
        for tool in np.flatnonzero(seen).tolist():
            cover = _instrument(tool, x, y, sides[tool], tips[tool][number])[..., np.newaxis]
            picture = picture + cover * (_COLOURS[tool] - picture)
        yield picture.clip(0, 255).astype(np.uint8)


def _instrument(tool: int, x: np.ndarray, y: np.ndarray, side: float, tip: np.ndarray) -> np.ndarray:
    """The share of each pixel that a shaft from a side to its tip covers; a bag is round."""
    if TOOLS[tool] == "SpecimenBag":
        distance = np.hypot(x - tip[1], y - tip[0]) - 0.22
    else:
        start, along = np.array([side, 0.9]), np.array([tip[1] - side, tip[0] - 0.9])
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-6)
        share = share.clip(0, 1)
        distance = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]) - 0.06
    return np.asarray((0.5 - 30 * distance).clip(0, 1), np.float32)


def _tissue(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Reddish clouds (H, W, 3) that repeat at the edges, 0 to 255."""
    clouds = ndimage.gaussian_filter(random.standard_normal((*shape, 3)).astype(np.float32), (5, 5, 0), mode="wrap")
    return np.asarray(random.uniform((110, 35, 30), (160, 70, 60)) + 14 * clouds / clouds.std(), np.float32)


def _coming_and_going(random: np.random.Generator, count: int, share: float, fps: int) -> np.ndarray:
    """0 or 1 of each frame: there for a share of the time, some seconds in a row."""
    noise = ndimage.gaussian_filter1d(random.standard_normal(count + 8 * fps), 1.5 * fps)[4 * fps : 4 * fps + count]
    spread = np.sqrt(np.sqrt(np.pi) * 2 * 1.5 * fps) * noise  # of a standard deviation of 1
    level = np.quantile(random.standard_normal(4096), 1 - share) if share else np.inf
    return (spread > level).astype(np.int64)


def _wandering(random: np.random.Generator, count: int, fps: int) -> np.ndarray:
    """Where the tip of an instrument is, as shares of height and width, (count, 2)."""
    steps = ndimage.gaussian_filter1d(random.standard_normal((count, 2)), fps, axis=0, mode="nearest") * np.sqrt(fps)
    return np.asarray(0.45 + 0.15 * steps.clip(-2, 2))


def _names(published: SurgeryOptions, options: SurgeriesOptions) -> list[str]:
    """The first videos of each split, at most as many as there are."""
    counts = {"train": options.train, "validation": options.validation, "test": options.test}
    return [name for split, names in published.published().items() for name in names[: counts[split]]]


def _frames_at(rate: int, surgery: Surgery, fps: int) -> np.ndarray:
    """The frames of the file that are shown at n / rate seconds."""
    count = (len(surgery.phases) - 1) * rate // fps + 1
    return np.arange(count) * fps // rate


def _phase_rows(surgery: Surgery, fps: int) -> list[Sequence[object]]:
    phases = surgery.phases[_frames_at(ANNOTATED, surgery, fps)].tolist()
    return [("Frame", "Phase"), *((number, CHOLECYSTECTOMY[phase]) for number, phase in enumerate(phases))]


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _generate(folder: Path, options: SurgeriesOptions, layout: str, videos: Videos, annotate: Annotate) -> None:
    description = {
        "generator": f"medvid_surgery.surgeries.generate_{layout}",
        "options": options.model_dump(mode="json"),
    }
    generate_once(folder, {**description, "format": 1}, partial(_write_all, options, videos, annotate))


def _write_all(options: SurgeriesOptions, videos: Videos, annotate: Annotate, folder: Path) -> None:
    def write(name: str) -> None:
        random = np.random.default_rng(derive_seed(options.seed, "surgery", name))
        surgery = perform(random, options)
        annotate(folder, name, surgery)
        encode(folder / videos[name] / f"{name}.mp4", film(random, surgery, options.size, options.fps), options.fps)

    for place in {*videos.values()}:
        (folder / place).mkdir(parents=True)
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(write, videos):
            pass  # raises the errors of the threads


def encode(path: Path, frames: Iterator[np.ndarray], fps: int) -> None:
    """Write frames (H, W, 3) uint8 of even height and width as H.264, with a key frame each second."""
    options = {"preset": "ultrafast", "qp": str(_QUANTISER), "g": str(fps), "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        for number, frame in enumerate(frames):
            if not number:
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
