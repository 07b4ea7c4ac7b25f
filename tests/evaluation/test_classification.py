"""Multi-view inference and its figures, on cases whose answers are known."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.data.placement import Placement
from medvid.errors import DataError
from medvid.evaluation.evaluator import Evaluator
from medvid.evaluation.metrics.accuracy import class_table
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import evaluate_case, make_evaluator, predict_case

HOST = make_host()

LABELS = ("run", "jump", "sit", "eat", "sing", "swim")


@dataclass
class Clip:
    """A case whose views are its logits."""

    id: str
    label: int | None
    logits: Sequence[Sequence[float]]
    asked: tuple[int, int, Placement] | None = None

    @property
    def target(self) -> Tensor | None:
        return None if self.label is None else torch.tensor(self.label)

    def input(self) -> Tensor:
        return torch.tensor(self.logits)[0]

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:
        self.asked = (clips, crops, placement)
        return torch.tensor(self.logits, dtype=torch.float32)

    def thumbnails(self, count: int) -> np.ndarray:
        return np.zeros((count - 3, 6, 8, 3), np.uint8)


class Echo(nn.Module):
    """Its logits are its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batches: list[int] = []

    def forward(self, input: Tensor) -> Tensor:
        self.batches.append(len(input))
        return input * self.weight


def evaluator(**options: Any) -> Evaluator:
    return make_evaluator(HOST, InputInfo("video", 3, (8, 32, 32)), TargetInfo("case", "class", LABELS), **options)


def one_hot(label: int, value: float = 4.0) -> list[float]:
    return [value if index == label else 0.0 for index in range(len(LABELS))]


def score(scoring: Evaluator, clips: Sequence[Clip], folder: Path, *, final: bool = False) -> list[Any]:
    return [row for clip in clips for row in evaluate_case(scoring, Echo(), clip, final=final, folder=folder)]


@pytest.mark.parametrize(
    ("protocol", "placement", "answer"),
    [("medvid", "spread", "run"), ("slowfast", "spread", "run"), ("timesformer", "segments", "jump")],
)
def test_views_are_combined_as_the_protocol_says(
    protocol: str, placement: Placement, answer: str, tmp_path: Path
) -> None:
    """Two views are for run and one is very sure of jump: by probabilities it is run, by logits (6 to 9) jump."""
    views = [one_hot(0, 3.0), one_hot(0, 3.0), one_hot(1, 9.0)]
    clip = Clip("a", 0, views)
    [row] = score(evaluator(protocol=protocol, clips=3), [clip], tmp_path)
    assert (row["predicted"], clip.asked) == (answer, (3, 1, placement))
    logits = torch.tensor(views).double()
    expected = logits.mean(0).softmax(0) if protocol == "timesformer" else logits.softmax(1).mean(0)
    assert row["probability_true"] == pytest.approx(expected[0].item())
    assert row["probability"] == pytest.approx(expected.max().item())


def test_views_are_inferred_in_batches() -> None:
    scoring, model = evaluator(window_batch=2), Echo()
    evaluate_case(scoring, model, Clip("a", 0, [one_hot(0)] * 5), final=False, folder=Path())
    assert model.batches == [2, 2, 1]


@pytest.mark.parametrize("protocol", ["medvid", "timesformer"])
def test_cases_in_one_batch_get_the_answers_that_they_get_alone(protocol: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6)).eval()
    clips = [Clip(str(number), 0, torch.randn(views, 6).tolist()) for number, views in enumerate((3, 3, 1, 4, 3, 8))]
    clips.insert(2, Clip("other", 0, torch.randn(2, 4, 6).tolist()))  # views of another shape
    scoring = evaluator(protocol=protocol, window_batch=4)
    model.register_forward_hook(lambda _, __, output: output if output.ndim == 2 else output[:, 0])
    loaded = [scoring.inference.load(clip) for clip in clips]
    together = scoring.inference.infer(model, loaded, final=True)
    assert [one.case for one in together] == clips
    for one, case in zip(together, loaded, strict=True):
        [alone] = scoring.inference.infer(model, [case], final=True)
        torch.testing.assert_close(one.answer, alone.answer)


@pytest.mark.parametrize(
    ("device", "options", "cases"),
    [
        ("cpu", {"window_batch": 32}, 1),
        ("cuda", {}, 16),
        ("cuda", {"clips": 5}, 3),
        ("cuda", {"clips": 10, "crops": 3}, 1),
        ("cuda", {"window_batch": 8}, 8),
        ("mps", {}, 4),
    ],
)
def test_on_a_gpu_as_many_cases_share_a_batch_as_fill_it(device: str, options: Any, cases: int) -> None:
    assert evaluator(**options).inference.cases_at_once(torch.device(device)) == cases


@pytest.fixture
def rows(tmp_path: Path) -> list[Any]:
    """Three runs, of which one is taken for a jump and one for the last of all, and two swims."""
    last = [-1.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    clips = [
        Clip("1", 0, [one_hot(0)]),
        Clip("2", 0, [[2.0, 3.0, 0, 0, 0, 0]]),
        Clip("3", 0, [last]),
        Clip("4", 5, [one_hot(5)]),
        Clip("5", 5, [one_hot(5)]),
    ]
    return score(evaluator(), clips, tmp_path)


def test_accuracies_count_cases(rows: list[Any]) -> None:
    summary = evaluator().scorer.summarise(rows)
    assert summary.metrics == pytest.approx(
        {"top1": 3 / 5, "top5": 4 / 5, "mean_class": (1 / 3 + 1) / 2, "top1/run": 1 / 3, "top1/swim": 1.0}
    )
    assert summary.table[1:] == (
        ("run", "3", "1", "0.333", "jump"),
        ("swim", "2", "2", "1.000", ""),
        ("all", "5", "3", "0.600", ""),
    )
    assert "4 of 6 classes have no case in this split" in summary.notes


@given(st.lists(st.integers(-3, 3).map(float), min_size=6, max_size=6), st.integers(0, 5), st.floats(-1e30, 1e30))
def test_ties_count_against_the_model(logits: list[float], label: int, shift: float) -> None:
    scoring = evaluator()
    [row] = score(scoring, [Clip("a", label, [logits])], Path())
    assert row["rank"] == sum(other >= logits[label] for other in logits)
    assert row["ties"] == logits.count(logits[label]) - 1
    assert (row["predicted"] == LABELS[label]) == (row["rank"] == 1)
    metrics = scoring.scorer.summarise([row]).metrics
    assert metrics["top1"] == metrics["mean_class"] == metrics[f"top1/{LABELS[label]}"] == float(row["rank"] == 1)
    assert any("as likely as others" in note for note in scoring.scorer.summarise([row]).notes) == (row["ties"] > 0)
    [constant] = score(scoring, [Clip("a", label, [[shift] * 6] * 2)], Path())
    assert scoring.scorer.summarise([constant]).metrics["top5"] == 0


def test_unlikely_classes_are_not_rounded_to_one_score() -> None:
    """Probabilities of exp(-1000) are 0 in any floating type."""
    [row] = score(evaluator(), [Clip("a", 3, [[1000.0, 3.0, 2.0, 1.0, 0.0, -1.0]] * 2)], Path())
    assert (row["rank"], row["ties"]) == (4, 0)


def test_nothing_scored_is_no_accuracy() -> None:
    summary = evaluator().scorer.summarise([])
    assert math.isnan(summary.metrics["top1"])
    assert class_table([])[-1] == ("all", "0", "0", "-", "")


def test_a_case_without_a_label_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="case new has no label"):
        score(evaluator(), [Clip("new", None, [one_hot(0)])], tmp_path)


def test_the_closing_evaluation_draws_the_matrix_and_the_hardest_cases(tmp_path: Path) -> None:
    scoring = evaluator(figures=1)
    clips = [Clip("easy", 0, [one_hot(0)]), Clip("a/hard", 0, [one_hot(3, 9.0)]), Clip("fair", 1, [one_hot(2, 1.0)])]
    rows = score(scoring, clips, tmp_path, final=True)
    assert rows[1]["top5"].startswith("eat 0.99")
    files = scoring.scorer.figures(rows, tmp_path)
    assert [file.name for file in files] == [
        "confusion.png", "roc.png", "precision_recall.png", "calibration.png", "a%2Fhard.png",
    ]  # fmt: skip
    assert all(file.stat().st_size > 1000 for file in files)
    with (tmp_path / "classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    assert [(row["class"], row["cases"], row["top1"]) for row in classes] == [("run", "2", "0.5"), ("jump", "1", "0.0")]


def test_figures_can_be_left_out(tmp_path: Path) -> None:
    scoring = evaluator(figures=0)
    assert scoring.scorer.figures(score(scoring, [Clip("a", 0, [one_hot(0)])], tmp_path, final=True), tmp_path) == []


def test_a_prediction_names_the_five_likeliest(tmp_path: Path) -> None:
    prediction = predict_case(evaluator(), Echo(), Clip("new", None, [one_hot(4)]), tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in prediction.files] == [
        "new.csv",
        "pictures/new.png",
    ]
    assert len(prediction.lines) == 5
    assert prediction.lines[0].endswith("sing")
    with prediction.files[0].open() as file:
        first = next(csv.DictReader(file))
    assert (first["rank"], first["class"]) == ("1", "sing")
    assert float(first["probability"]) == pytest.approx(math.exp(4) / (math.exp(4) + 5))
