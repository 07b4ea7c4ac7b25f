"""Clips that one loader process reads per second from the same frames: as a file, a folder of pictures, and DICOM.

    python benchmarks/readers.py [--clips N] [--quick]

Each video is stored as H.264 with a key frame every 12 frames (as `platform data reencode` writes it) and every 250, as
JPEG and PNG pictures, and as DICOM: not compressed, and RLE. A clip is what training reads: 16 frames, each fourth,
from a random place. `in order` is every frame once, as long videos are inferred: frames per second. All take turns,
each with one thread; the files are in the page cache.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from common import count, print_table, stopwatch, take_turns
from decoding import one_thread, places, write_video
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, UltrasoundMultiFrameImageStorage, generate_uid

from medvid.data.videos.decoders import open_video
from medvid.data.videos.frame_files import FrameFileOptions
from medvid.data.videos.options import ListedVideoOptions
from medvid.data.videos.sampling import random_times

CPU = torch.device("cpu")
RATE = 30
KINDS = ("H.264, GOP 12", "H.264, GOP 250", "JPEG folder", "PNG folder", "DICOM", "DICOM, RLE")


def write_all(folder: Path, seconds: int, size: tuple[int, int], seed: int) -> dict[str, Path]:
    """The same pictures in each way, up to what the codecs lose."""
    folder.mkdir()
    stored = {kind: folder / kind for kind in KINDS}
    for kind, gop in zip(KINDS[:2], (12, 250), strict=True):
        stored[kind] = folder / f"{gop}.mp4"
        write_video(stored[kind], seconds, size, gop, seed)
    with av.open(str(stored[KINDS[0]])) as video:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
    for kind, suffix in zip(KINDS[2:4], ("jpg", "png"), strict=True):
        stored[kind].mkdir(parents=True)
        for number, frame in enumerate(frames, start=1):
            Image.fromarray(frame).save(stored[kind] / f"img_{number:05}.{suffix}")
    for kind in KINDS[4:]:
        stored[kind] = folder / f"{kind}.dcm"
        write_dicom(stored[kind], frames, compressed="RLE" in kind)
    return stored


def write_dicom(path: Path, frames: np.ndarray, *, compressed: bool) -> None:
    """A loop of colour frames."""
    loop = Dataset()
    loop.file_meta = FileMetaDataset()
    loop.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    loop.SOPClassUID, loop.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    loop.NumberOfFrames, loop.Rows, loop.Columns, loop.SamplesPerPixel = frames.shape
    loop.PhotometricInterpretation, loop.PlanarConfiguration, loop.PixelRepresentation = "RGB", 0, 0
    loop.BitsAllocated, loop.BitsStored, loop.HighBit = 8, 8, 7
    loop.FrameTime = f"{1000 / RATE:.6f}"
    loop.PixelData = frames.tobytes()
    if compressed:
        loop.compress(RLELossless)
    loop.save_as(path, enforce_file_format=True)


def clip_reader(kind: str, videos: list[dict[str, Path]], options: ListedVideoOptions) -> Callable[[], float]:
    """Reads the next clip of an endless order, the same for every kind; returns its seconds."""
    order = places(len(videos))

    def read() -> float:
        index, seed = next(order)
        random = np.random.default_rng(seed)
        with stopwatch(CPU) as watch, open_video(videos[index][kind], frame_files=options.frame_files) as video:
            video.frames_at(random_times(options.train_sampling(), video.length, random.random))
        return watch.seconds

    return read


def whole_reader(kind: str, videos: list[dict[str, Path]], options: ListedVideoOptions) -> Callable[[], float]:
    """Reads every frame of the next video; returns seconds per frame."""
    order = places(len(videos))

    def read() -> float:
        path = videos[next(order)[0]][kind]
        with stopwatch(CPU) as watch, open_video(path, frame_files=options.frame_files) as video:
            frames = sum(1 for _ in video.in_order(video.times.due.tolist()))
        return watch.seconds / frames

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=count, default=100, help="clips read of each kind")
    parser.add_argument("--quick", action="store_true", help="a few small videos and clips")
    arguments = parser.parse_args()
    clips, videos, seconds, size = (3, 2, 3, (64, 96)) if arguments.quick else (arguments.clips, 6, 10, (256, 344))
    options = ListedVideoOptions(name="videos", root=Path(), frame_files=FrameFileOptions(rate=RATE))

    print(f"{videos} videos of {seconds} s, {size[1]} x {size[0]}; {options.frames}x{options.rate:g}; {clips} clips")
    with tempfile.TemporaryDirectory() as folder, one_thread():
        stored = [write_all(Path(folder) / str(seed), seconds, size, seed) for seed in range(videos)]
        medians = take_turns({kind: clip_reader(kind, stored, options) for kind in KINDS}, rounds=clips)
        whole = take_turns({kind: whole_reader(kind, stored, options) for kind in KINDS}, rounds=min(clips, 2 * videos))
    first = KINDS[0]
    rows = [
        [
            kind, f"{1 / medians[kind]:.1f}", f"{medians[first] / medians[kind]:.2f}",
            f"{1 / whole[kind]:.0f}", f"{whole[first] / whole[kind]:.2f}",
        ]
        for kind in KINDS
    ]  # fmt: skip
    print_table(["stored as", "clips/s", f"of {first}", "in order, frames/s", f"of {first}"], rows)


if __name__ == "__main__":
    main()
