"""Peak memory of predicting every frame of videos of 2, 10 and 120 minutes, each in a process of its own.

    python benchmarks/long_video.py [--minutes N ...] [--quick]

H.264 videos of 64 x 64 at 25 frames per second are generated, seen and answered at 1 frame per second, as surgery is,
by a small ViT frame by frame and a causal TCN, with the table of answers that `platform predict` writes.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from common import count, peak_memory, print_table
from frames import CPU, HOST, PHASES, make_model

from medvid.data.videos.frames.case import FramedVideo
from medvid.testing.evaluation import make_evaluator, predict_case
from medvid_videos.frames_config import LabelledFramesOptions

FPS = 25


def write_long_video(path: Path, seconds: int) -> None:
    """A disc that goes round, on a ground whose brightness changes every 100 seconds."""
    rows, columns = np.indices((64, 64))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "250"})
        stream.height, stream.width, stream.pix_fmt = 64, 64, "gray"
        for number in range(FPS * seconds):
            angle = number / 40
            disc = np.hypot(rows - 32 - 16 * np.sin(angle), columns - 32 - 16 * np.cos(angle)) < 8
            picture = np.where(disc, 240, 40 + 20 * (number // (100 * FPS) % 8)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


def predict(path: Path) -> None:
    """Predict a video, and print its frames, the seconds that took, and the peak of memory in bytes."""
    options = LabelledFramesOptions(name="labelled_frames", root=path.parent, size=56, fps=1, frames=16)
    model, evaluator = make_model(options, 64), make_evaluator(HOST, options.input_info(), PHASES, figures=0)
    began = time.perf_counter()
    prediction = predict_case(evaluator, model, FramedVideo(path.stem, path, options), path.parent / path.stem)
    print(len(prediction.rows), time.perf_counter() - began, peak_memory(CPU))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=count, nargs="+", default=[2, 10, 120], help="lengths of the videos")
    parser.add_argument("--quick", action="store_true", help="a minute, and two")
    parser.add_argument("--predict", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.predict:
        predict(arguments.predict)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in [1, 2] if arguments.quick else arguments.minutes:
            path = Path(folder) / f"{minutes}.mp4"
            write_long_video(path, 60 * minutes)
            command = [sys.executable, __file__, "--predict", str(path)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            frames, taken, peak = printed.split()
            rows.append((minutes, frames, f"{float(taken):.0f}", f"{int(peak) / 2**20:.0f}"))
    print_table(["minutes", "answers", "seconds", "peak, MiB"], rows)


if __name__ == "__main__":
    main()
