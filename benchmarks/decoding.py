"""Clips that one loader process reads per second, and what it costs that frames are compared with the packets' times.

    python benchmarks/decoding.py [--clips N] [--quick]

H.264 videos are generated with a key frame every 12 frames, as `platform data reencode` writes them, and every 250, as
most are that are downloaded. A clip is what training reads: 16 frames, each fourth, from a random place. It is read
unchecked (a seek, and whatever comes then, as PyAV gives it), checked, checked in files whose times are remembered,
likewise by decord, and checked with all that follows: a random crop. They take turns, each with one thread.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from common import count, print_table, stopwatch, take_turns

from medvid.data.videos.clip_options import ReaderName
from medvid.data.videos.decoders import open_video
from medvid.data.videos.options import ListedVideoOptions
from medvid.data.videos.reader import forget
from medvid.data.videos.sampling import Length, random_times
from medvid.data.videos.transforms import random_crop, to_clip

GOPS = (12, 250)
KINDS = ("unchecked", "checked", "remembered", "decord", "input")
CPU = torch.device("cpu")


def write_video(path: Path, seconds: int, size: tuple[int, int], gop: int, seed: int) -> None:
    """A textured picture that drifts over another, at 30 frames per second."""
    random, (height, width) = np.random.default_rng(seed), size
    coarse = random.integers(0, 256, (2, height // 8, width // 8, 3), np.uint8)
    back, front = coarse.repeat(8, axis=1).repeat(8, axis=2)
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "crf": "23", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(30 * seconds):
            frame = back.copy()
            frame[height // 4 : -height // 4] = np.roll(front, 2 * number, axis=1)[height // 4 : -height // 4]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def unchecked(path: Path, times: Callable[[Length], list[float]]) -> np.ndarray:
    """Frames from a seek on, taken for what was asked for."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        unit = float(stream.time_base)
        wanted = times(Length(stream.duration * unit, float(stream.average_rate)))
        container.seek(int(wanted[0] / unit), stream=stream)
        reformatter, frames = av.video.reformatter.VideoReformatter(), []
        for frame in container.decode(stream):
            if len(frames) < len(wanted) and frame.time + 0.5 / float(stream.average_rate) > wanted[len(frames)]:
                frames.append(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray())
            if len(frames) == len(wanted):
                break
        return np.stack(frames)


def checked(path: Path, times: Callable[[Length], list[float]], reader: ReaderName, *, remembered: bool) -> np.ndarray:
    if not remembered:
        forget()
    with open_video(path, decoder=reader) as video:
        return video.frames_at(times(video.length))


def clip_reader(kind: str, paths: list[Path], options: ListedVideoOptions) -> Callable[[], float]:
    """Reads the next clip of an endless order, the same for every kind; returns its seconds."""
    order = places(len(paths))
    remembered = kind in {"remembered", "decord"}
    reader: ReaderName = "decord" if kind == "decord" else "auto"

    def read() -> float:
        index, seed = next(order)
        random = np.random.default_rng(seed)

        def times(length: Length) -> list[float]:
            return random_times(options.train_sampling(), length, random.random)

        if remembered:
            checked(paths[index], lambda _: [0.0], reader, remembered=True)
        with stopwatch(CPU) as watch:
            if kind == "unchecked":
                frames = unchecked(paths[index], times)
            else:
                frames = checked(paths[index], times, reader, remembered=remembered)
            if kind == "input":
                random_crop(to_clip(frames), options, torch.Generator().manual_seed(seed))
        return watch.seconds

    return read


def places(count: int) -> Iterator[tuple[int, int]]:
    seed = 0
    while True:
        yield seed % count, seed
        seed += 1


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a loader process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=count, default=200, help="clips read with each reader")
    parser.add_argument("--quick", action="store_true", help="a few small videos and clips")
    arguments = parser.parse_args()
    clips, videos, seconds, size = (3, 2, 3, (64, 96)) if arguments.quick else (arguments.clips, 20, 10, (256, 344))
    options = ListedVideoOptions(name="videos", root=Path(), size=56 if arguments.quick else 224)

    print(f"{videos} videos of {seconds} s, {size[1]} x {size[0]}; {options.frames}x{options.rate:g}; {clips} clips")
    rows = []
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for gop in GOPS:
            paths = [Path(folder) / f"{gop}-{number}.mp4" for number in range(videos)]
            for seed, path in enumerate(paths):
                write_video(path, seconds, size, gop, seed)
            medians = take_turns({kind: clip_reader(kind, paths, options) for kind in KINDS}, rounds=clips)
            rates = (f"{1 / medians[kind]:.1f}" for kind in KINDS)
            rows.append([gop, *rates, f"{medians['checked'] / medians['unchecked']:.2f}"])
    print_table(["GOP", *(f"{kind}, clips/s" for kind in KINDS), "checked / unchecked, time"], rows)


if __name__ == "__main__":
    main()
