"""Label maps of videos: inferred in windows as if all frames were held, scored frame by frame, drawn on the frames."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.config.evaluation import VoxelEvaluationOptions
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.evaluator import Evaluator
from medvid.evaluation.inference.videos import InferredVideo
from medvid.evaluation.metrics.pooled_dice import pooled_metrics
from medvid.evaluation.overlay import overlaid, write_overlay
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.toy_video import ToyVideo

HOST = make_host()
TARGET = TargetInfo("voxel", "class", ("background", "chamber"), has_unknown=True)
WINDOW = (4, 6, 8)


class Watched(ToyVideo):
    """With masks on some frames alone; notes which frames were read."""

    known: tuple[int, ...] = ()

    @property
    def annotated(self) -> dict[int, tuple[str, ...]]:
        return dict.fromkeys(self.known, ("ES",))

    def read(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        READ.extend(numbers)
        return super().read(numbers)


READ: list[int] = []


class Blurred(nn.Module):
    """Logits that depend on the frames around."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        assert input.shape[2:] == WINDOW
        return self.conv(input)


def video(length: int, known: Sequence[int], size: tuple[int, int] = (6, 8)) -> Watched:
    generator = torch.Generator().manual_seed(length)
    prepared = torch.randn(1, length, *size, generator=generator)
    made = Watched("loop", prepared, (prepared[0] > 0.5).long())
    object.__setattr__(made, "known", tuple(known))
    return made


def evaluator(**options: object) -> Evaluator:
    block = VoxelEvaluationOptions.model_validate({"figures": 1, **options})
    return build_evaluator(block, InputInfo("video", 1, WINDOW), TARGET, HOST)


def inferred(case: ToyVideo, *, final: bool, **options: object) -> InferredVideo:
    READ.clear()
    [found] = evaluator(**options).inference.infer(Blurred().eval(), [case], final=final)
    return found


def reference(case: ToyVideo, overlap: float) -> np.ndarray:
    """The mean of windows at constant weights, with all frames held."""
    step, count = max(int(4 * (1 - overlap)), 1), max(case.frame_count, 4)
    frames = torch.stack([*case.read(range(count))], dim=1)
    total = torch.zeros(2, count, *frames.shape[2:])
    weight = torch.zeros(count)
    model = Blurred().eval()
    for start in sorted({min(one, count - 4) for one in range(0, count, step)}):
        total[:, start : start + 4] += model(frames[None, :, start : start + 4])[0].detach()
        weight[start : start + 4] += 1
    return (total / weight[:, None, None])[:, : case.frame_count].argmax(0).numpy()


@settings(max_examples=15)
@given(st.integers(1, 19), st.sampled_from([0.0, 0.5, 0.75]), st.integers(1, 5))
def test_the_stream_gives_what_windows_over_all_frames_give(length: int, overlap: float, at_once: int) -> None:
    case = video(length, range(length))
    found = inferred(case, final=True, overlap=overlap, blending="constant", window_batch=at_once)
    assert list(range(max(length, 4))) == READ  # each once, in order; behind the end, the last one again
    assert found.native is not None
    assert np.array_equal(found.native, reference(case, overlap))


@settings(max_examples=15)
@given(
    st.integers(5, 40), st.sets(st.integers(0, 39), min_size=1, max_size=3), st.sampled_from(["gaussian", "constant"])
)
def test_only_windows_that_see_annotated_frames_are_inferred(length: int, known: set[int], blending: str) -> None:
    case = video(length, sorted(number for number in known if number < length) or [0])
    few = inferred(case, final=False, blending=blending)
    assert few.native is None
    assert len(READ) <= 8 * len(case.annotated)  # with half an overlap, two windows see a frame
    whole = inferred(case, final=True, blending=blending)
    assert [*few.scored] == [*case.annotated]
    for number, labels in few.scored.items():
        assert np.array_equal(labels, whole.scored[number])
        assert np.array_equal(labels, whole.native[number])


def test_windows_slide_in_space_as_well() -> None:
    found = inferred(video(6, [1], (9, 13)), final=True)
    assert found.native is not None
    assert found.native.shape == (6, 9, 13)


def test_rows_are_of_frames_and_all_pixels_together_have_a_dice(tmp_path: Path) -> None:
    case, made = video(9, [2, 7]), evaluator()
    found = inferred(case, final=True)
    rows = made.scorer.score(found, final=True, folder=tmp_path)
    assert [(row["case"], row["frame"], row["time_s"], row["groups"]) for row in rows] == [
        ("loop", 2, pytest.approx(0.08), "ES"),
        ("loop", 7, pytest.approx(0.28), "ES"),
    ]
    truth, predicted = (np.stack([of[number] for number in (2, 7)]) for of in (case.target.numpy(), found.native))
    pooled = 2 * (truth * predicted).sum() / (truth.sum() + predicted.sum())
    summary = made.scorer.summarise(rows)
    assert summary.metrics["dice_pooled"] == summary.metrics["ES/dice_pooled"] == pytest.approx(pooled)
    assert summary.metrics["dice"] == pytest.approx(np.mean([row["dice"] for row in rows]))
    assert "2 annotated frames of 1 videos are scored, each as an image" in summary.notes
    [figure] = made.scorer.figures(rows, tmp_path)
    assert figure.stat().st_size > 5000


def test_dice_of_videos_is_pooled_within_each() -> None:
    def row(case: str, dice: float, size: int) -> dict[str, object]:
        state = "scored" if size else "absent"
        return {
            "case": case,
            "label": "lv",
            "state": state,
            "dice": dice,
            "voxels_true": size,
            "voxels_predicted": size,
        }

    found = pooled_metrics([row("a", 1, 10), row("a", 0.5, 30), row("b", 0, 10), row("b", float("nan"), 0)])
    assert found["dice_of_videos"] == pytest.approx((25 / 40 + 0) / 2)
    assert found["dice_pooled"] == pytest.approx(25 / 50)


def test_the_largest_component_is_one_of_each_frame(tmp_path: Path) -> None:
    case = video(6, [1])
    evaluator(largest_component=("all",)).scorer.write(inferred(case, final=True), tmp_path)
    written = np.load(tmp_path / "loop.npy")
    before = inferred(case, final=True).native
    assert before is not None
    assert 0 < written.sum() < before.sum()
    assert (written.reshape(6, -1).any(axis=1) == before.reshape(6, -1).any(axis=1)).all()


def test_an_overlay_has_the_frames_at_their_times(tmp_path: Path) -> None:
    frames = [np.full((15, 21, 3), 30 + 20 * number, np.uint8) for number in range(6)]
    labels = np.zeros((6, 15, 21), np.uint8)
    labels[2, 4:11, 6:15] = 1
    times = [0, 0.04, 0.08, 0.2, 0.24, 0.28]
    path = write_overlay(tmp_path / "a.mp4", frames, labels, times)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (22, 16, "yuv420p")
        shown = [(float(one.pts * one.time_base), one.to_ndarray(format="rgb24")) for one in container.decode(stream)]
    assert [time for time, _ in shown] == pytest.approx(times, abs=0.001)
    assert [float(picture[:, :4].mean()) for _, picture in shown] == pytest.approx([f.mean() for f in frames], abs=5)
    tinted = shown[2][1][5:10, 8:13].astype(int)
    assert (tinted[..., 0] - tinted[..., 1]).mean() > 20  # label 1 is red


def test_outlines_are_opaque_and_areas_let_the_frame_through() -> None:
    picture, labels = np.full((9, 9, 3), 100, np.uint8), np.zeros((9, 9), np.uint8)
    labels[2:7, 2:7] = 1
    drawn = overlaid(picture, labels)
    red = np.array([230, 25, 75])
    assert (drawn[0, 0] == 100).all()
    assert (drawn[2, 4] == red).all()
    assert np.allclose(drawn[4, 4], 70 + 0.3 * red, atol=1)
