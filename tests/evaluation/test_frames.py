"""Frames and slices: window by window, each exactly one answer, scored as cases are, patients or cases whole."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.errors import DataError
from medvid.evaluation.inference.frames import InferredFrames
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.plugin.specs import What
from medvid.testing.evaluation import make_evaluator, predict_case
from medvid.testing.toy import ToyFrames

HOST = make_host()
NAMES = ("any", "subdural")
LENGTH = 4


class Positions(nn.Module):
    """Answers for each frame its brightness, times how far it is from the beginning of its window."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[int] = []

    def forward(self, input: Tensor) -> Tensor:
        self.windows.append(len(input))
        brightness = input.mean(dim=(1, 2, 3))  # B, T
        return (brightness * torch.arange(1.0, LENGTH + 1)).unsqueeze(2).expand(-1, -1, len(NAMES))


def target(what: What, **more: Any) -> TargetInfo:
    return TargetInfo("frame", what, NAMES, ("mm", "mm") if what == "value" else (), has_unknown=True, **more)


def case(frames: int, truth: Tensor | None = None) -> ToyFrames:
    return ToyFrames("a", torch.arange(1.0, frames + 1).expand(1, 2, 3, frames), truth, "volume")


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


def evaluator(what: What, **block: Any) -> Any:
    return make_evaluator(HOST, InputInfo("volume", 1, (2, 3, LENGTH)), target(what), **{"figures": 0, **block})


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 23), st.floats(0, 0.95), st.integers(1, 5))
def test_each_frame_has_the_mean_of_the_windows_that_see_it(frames: int, overlap: float, window_batch: int) -> None:
    made = evaluator("value", overlap=overlap, window_batch=window_batch)
    model, given_case = Positions(), case(frames)
    [inferred] = made.inference.infer(model, [made.inference.load(given_case)], final=True)
    last = max(frames - LENGTH, 0)
    step = max(int(LENGTH * (1 - overlap)), 1)
    starts = sorted({min(start, last) for start in range(0, last + step, step)})
    wanted = [
        (frame + 1) * sum(seen := [frame - start + 1 for start in starts if 0 <= frame - start < LENGTH]) / len(seen)
        for frame in range(frames)
    ]
    assert inferred.answers.shape == (frames, 2)
    assert torch.allclose(inferred.answers[:, 0], torch.tensor(wanted, dtype=torch.float64))
    assert sum(model.windows) == len(starts)
    assert max(model.windows) <= window_batch


def test_mirrored_windows_count_as_much_as_the_others() -> None:
    class Left(nn.Module):
        """Answers for each frame the brightness of its first column."""

        def forward(self, input: Tensor) -> Tensor:
            return input[:, :, 0].mean(dim=(1, 2)).unsqueeze(2).expand(-1, -1, len(NAMES))

    frames = torch.rand(1, 2, 3, 9)
    given_case = ToyFrames("a", frames, None, "volume")
    for mirror, columns in (([], [0]), (["R"], [0, 1]), (["R", "A"], [0, 1])):
        made = evaluator("value", mirror=mirror)
        [inferred] = made.inference.infer(Left(), [made.inference.load(given_case)], final=True)
        wanted = frames[0, columns].mean(dim=(0, 1)).double()
        assert torch.allclose(inferred.answers[:, 0], wanted, atol=1e-6), mirror


def test_a_table_says_where_each_slice_lies(tmp_path: Path) -> None:
    prediction = predict_case(evaluator("labels", figures=1), Positions(), case(3), tmp_path)
    table, picture = prediction.files
    assert table.read_text().splitlines()[0] == "slice,position_mm,any,subdural"
    assert prediction.table == table
    assert [row["position_mm"] for row in lines_of(table)] == ["0.0", "2.0", "4.0"]
    assert picture.parent.name == "pictures"
    assert prediction.lines[0].endswith("any, at slice 2; above 50% in 3 of 3")


def test_classes_of_frames_have_a_prediction_each(tmp_path: Path) -> None:
    made = evaluator("class", figures=1)
    truth = torch.tensor([0, 1, UNKNOWN])
    answers = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]).double().log_softmax(1)
    inferred = InferredFrames(case(3, truth), answers, "windows")
    rows = made.scorer.score(inferred, final=True, folder=tmp_path)
    assert [(row["slice"], row["label"], row["predicted"]) for row in rows] == [
        (0, "any", "any"),
        (1, "subdural", "any"),
        (2, "", "subdural"),
    ]
    summary = made.scorer.summarise(rows)
    assert summary.metrics["top1"] == 0.5
    assert "1 of 3 frames have no label and are left out of all figures" in summary.notes
    assert summary.table[0][1] == "frames"
    assert (tmp_path / "figures" / "a.png") in made.scorer.figures(rows, tmp_path)
    assert (tmp_path / "figures" / "mistakes_along_runs.png").is_file()
    written = made.scorer.write(inferred, tmp_path / "new")
    assert [row["predicted"] for row in lines_of(written.files[0])] == ["any", "any", "subdural"]
    assert written.lines[0] == " 66.7%  any, first at slice 0"


def test_intervals_draw_patients_whole(tmp_path: Path) -> None:
    made, intervals = evaluator("value"), []
    random = torch.Generator().manual_seed(0)
    for frames in (1, 8):  # as often annotated, and predicted, the same
        rows = []
        for number in range(6):
            true, answer = torch.randn(2, generator=random), torch.randn(2, generator=random)
            random.manual_seed(number)
            alike = replace(case(frames, true.expand(frames, 2)), id=str(number))
            inferred = InferredFrames(alike, answer.double().expand(frames, 2), "windows")
            rows += made.scorer.score(inferred, final=True, folder=tmp_path)
        random.manual_seed(0)
        made.scorer.figures(rows, tmp_path)
        [mae] = [line for line in (tmp_path / "figures.csv").read_text().splitlines() if line.startswith("mae,any")]
        intervals.append([float(cell) for cell in mae.split(",")[2:5]])
    assert intervals[0] == pytest.approx(intervals[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["class", "labels", "value"]))
def test_what_is_answered_where_nobody_annotated_changes_no_figure(seed: int, what: What) -> None:
    random, made = torch.Generator().manual_seed(seed), evaluator(what)
    shape = (9,) if what == "class" else (9, 2)
    truth = torch.randint(2, shape, generator=random).to(torch.int64 if what == "class" else torch.float32)
    unknown = torch.rand(shape, generator=random) < 0.4
    truth = truth.masked_fill(unknown, math.nan if what == "value" else UNKNOWN)
    answers = [torch.rand(9, 2, generator=random).double() for _ in range(2)]
    if what == "class":
        answers = [answer.log_softmax(1) for answer in answers]
    answers[1] = answers[1].where(unknown.unsqueeze(-1) if what == "class" else unknown, answers[0])
    metrics = [
        made.scorer.summarise(
            made.scorer.score(InferredFrames(case(9, truth), answer, "windows"), final=True, folder=Path("unused"))
        ).metrics
        for answer in answers
    ]
    assert metrics[0] == pytest.approx(metrics[1], nan_ok=True)


def test_frames_without_annotation_are_refused_where_each_should_have_one(tmp_path: Path) -> None:
    info = replace(target("labels"), has_unknown=False)
    scorer = make_evaluator(HOST, InputInfo("volume", 1, (2, 3, LENGTH)), info).scorer
    with pytest.raises(DataError, match="case a has no annotation"):
        scorer.score(InferredFrames(case(2), torch.zeros(2, 2), "windows"), final=True, folder=tmp_path)
