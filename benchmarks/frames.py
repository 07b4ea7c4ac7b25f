"""Answers for every frame of a video: embeddings that are made once, against window by window; and decoding alone.

    python benchmarks/frames.py [--seconds N] [--rounds N] [--quick]

An H.264 video is generated and seen at 5 frames per second, by a small ViT frame by frame and a causal TCN. Windows of
16 frames end with the frame that they answer: naively each embeds its 16 frames, else each frame is embedded once. As a
stream, the TCN runs over the embeddings of the video instead of windows. Decoding alone reads the same frames and drops
them. All take turns.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from common import count, print_table, stopwatch, take_turns
from decoding import write_video
from torch import Tensor, nn

from medvid.data.videos.frames.case import FramedVideo
from medvid.evaluation.inference.frames import FrameInference
from medvid.models.axes import AxisFold
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import make_evaluator
from medvid_heads.config import SequenceOptions, TCNOptions
from medvid_videos.frames_config import LabelledFramesOptions
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT

HOST = make_host()
PHASES = TargetInfo("frame", "class", tuple("abcdefg"), has_unknown=True)
CPU = torch.device("cpu")


class WindowByWindow(nn.Module):
    """A model of which nobody knows that it sees each frame alone."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        output: Tensor = self.model(input)
        return output


def make_model(options: LabelledFramesOptions, width: int) -> Model:
    """A small ViT on each frame, and a causal TCN over 15 frames, the last of which is answered."""
    torch.manual_seed(0)
    frame, patch = InputInfo("image", 3, (options.size, options.size)), options.size // 7
    small = {"img_size": frame.size, "patch_size": patch, "embed_dim": width, "depth": 4, "num_heads": 4}
    vit = ViT(ViTOptions.model_validate({"name": "vit"} | small), frame)
    adapter = AxisFold(0)
    head = SequenceOptions(name="sequence", temporal=TCNOptions(stages=1, dilations=(1, 2, 4)))
    info = adapter.feature_info(vit.feature_info)
    return Model(vit, build_head(HOST.build, head, info, options.input_info(), PHASES), adapter).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=count, default=60, help="length of the video")
    parser.add_argument("--rounds", type=count, default=3, help="times that each reads the video")
    parser.add_argument("--quick", action="store_true", help="a few small frames")
    arguments = parser.parse_args()
    seconds, rounds, size, width = arguments.seconds, arguments.rounds, 112, 192
    if arguments.quick:
        seconds, rounds, size, width = 4, 1, 28, 32
    options = LabelledFramesOptions(name="labelled_frames", root=Path(), size=size, fps=5, frames=16)
    last, stream = (options.model_copy(update={"answers": answers}).input_info() for answers in ("last", "all"))
    model = make_model(options, width)
    answers: dict[str, Tensor] = {}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, seconds, (size, size * 4 // 3 // 8 * 8), gop=250, seed=0)

        def decoded() -> float:
            case = FramedVideo("video", path, options)
            with stopwatch(CPU) as watch:
                for start in range(0, case.frame_count, 64):
                    case.frames(start, min(start + 64, case.frame_count))
            return watch.seconds

        def inferred(name: str, network: nn.Module, info: InputInfo) -> Callable[[], float]:
            inference = make_evaluator(HOST, info, PHASES, figures=0).inference
            assert isinstance(inference, FrameInference)

            def infer() -> float:
                with stopwatch(CPU) as watch:
                    [one] = inference.infer(network, [FramedVideo("video", path, options)], final=True)
                answers[name] = one.answers
                return watch.seconds

            return infer

        measured = {
            "decoding alone": decoded,
            "stream": inferred("stream", model, stream),
            "windows, embedded once": inferred("windows, embedded once", model, last),
            "windows, one by one": inferred("windows, one by one", WindowByWindow(model), last),
        }
        medians = take_turns(measured, rounds)
        frames = FramedVideo("video", path, options).frame_count

    print(f"{frames} frames of {size} x {size}; the slowest way has ratio 1")
    slowest = max(medians.values())
    rows = [(name, f"{frames / taken:.1f}", f"{slowest / taken:.2f}") for name, taken in medians.items()]
    print_table(["", "frames/s", "times as fast"], rows)
    apart = (answers["windows, embedded once"] - answers["windows, one by one"]).abs().max()
    print(f"answers of the two ways by windows differ by at most {float(apart):.1g}")


if __name__ == "__main__":
    main()
