"""Clips that one loader process reads per second, with each reader that is installed.

    python benchmarks/decoding.py [--clips N] [--quick]

H.264 videos are generated with a key frame every 12 frames, as `platform data prepare` writes them, and every 250, as
most are that are downloaded. A clip is what training reads: 16 frames, each fourth, from a random place, once as they
are decoded and once with all that follows, a random crop, flip and normalisation. Readers take turns, each with one
thread.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from common import print_table, stopwatch, take_turns

from medvid.config.videos import ListedVideoOptions, ReaderName
from medvid.data.video_backends import BACKENDS
from medvid.data.video_reader import find_backend, open_video
from medvid.data.video_sampling import random_times
from medvid.data.video_transforms import to_clip, train_clip
from medvid.errors import ConfigError

GOPS = (12, 250)
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


def readers() -> list[ReaderName]:
    found: list[ReaderName] = []
    for name in BACKENDS:
        try:
            find_backend(name)
            found.append(name)
        except ConfigError as error:
            print(error)
    return found


def clip_reader(
    backend: ReaderName, paths: list[Path], options: ListedVideoOptions, *, whole: bool
) -> Callable[[], float]:
    """Reads the next clip of an endless order, the same for every reader; returns its seconds."""
    order = places(len(paths))

    def read() -> float:
        index, seed = next(order)
        random = np.random.default_rng(seed)
        with stopwatch(CPU) as watch:
            with open_video(paths[index], backend) as video:
                frames = video.frames_at(random_times(options.train_sampling(), video.length, random.random))
            if whole:
                train_clip(to_clip(frames), options, seed)
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
    parser.add_argument("--clips", type=int, default=200, help="clips read with each reader")
    parser.add_argument("--quick", action="store_true", help="a few small videos and clips")
    arguments = parser.parse_args()
    clips, count, seconds, size = (3, 2, 3, (64, 96)) if arguments.quick else (arguments.clips, 20, 10, (256, 344))
    options = ListedVideoOptions(name="videos", root=Path(), size=56 if arguments.quick else 224)

    print(f"{count} videos of {seconds} s, {size[1]} x {size[0]}; {options.frames}x{options.rate:g}; {clips} clips")
    rows, names = [], readers()
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for gop in GOPS:
            paths = [Path(folder) / f"{gop}-{number}.mp4" for number in range(count)]
            for seed, path in enumerate(paths):
                write_video(path, seconds, size, gop, seed)
            measured = {
                f"{name}, {stage}": clip_reader(name, paths, options, whole=stage == "input")
                for name in names
                for stage in ("decoded", "input")
            }
            medians = take_turns(measured, rounds=clips)
            for name in names:
                rates = (f"{1 / medians[f'{name}, {stage}']:.1f}" for stage in ("decoded", "input"))
                rows.append([name, gop, *rates])
    print_table(["reader", "GOP", "clips/s decoded", "clips/s as input"], rows)


if __name__ == "__main__":
    main()
