"""Protocols of several labels per case, against recorded figures of PySlowFast, mmaction2 and Charades' script."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from medvid.config.evaluation import CaseEvaluationOptions
from medvid.config.multilabel import MultilabelProtocolOptions
from medvid.config.options import ProtocolOptions
from medvid.evaluation.inference.views import InferredViews
from medvid.evaluation.multilabel_protocols import figures_of, multilabel_protocol
from medvid.evaluation.scoring.case_labels import LabelsScorer
from medvid.plugin.info import TargetInfo
from medvid_pytorchvideo.protocol import slowfast_protocol

FIXTURES = Path(__file__).parent.parent / "parity" / "fixtures"
VIEWS = {
    "probabilities": "sigmoid_then_mean",
    "maximum": "sigmoid_then_max",
    "logits": "mean_of_logits_then_sigmoid",
}
RECORDED = {
    "map": "slowfast_map (classes without a positive left out; sklearn AP)",
    "mmit_map": "mmit_map (AP per case, then mean).mmaction",
    "charades_map": "charades_map (nanmean)",
    "charades_weighted_map": "charades_weighted_map (by positives)",
}
INFO = TargetInfo("case", "labels", tuple("abcdefgh"))


@pytest.fixture(scope="module")
def recorded() -> tuple[np.ndarray, np.ndarray, dict[str, dict[str, float]]]:
    tensors = load_file(FIXTURES / "multilabel_video.safetensors")
    said = json.loads((FIXTURES / "multilabel_video.json").read_text())["cases"]["views"]["expected"]
    return tensors["views.logits"], tensors["views.label"], said


@pytest.mark.parametrize("views", VIEWS)
def test_figures_are_the_recorded_ones_however_views_are_combined(recorded, views: str, tmp_path: Path) -> None:
    logits, truth, said = recorded
    options = MultilabelProtocolOptions(name="multilabel", views=views)
    protocol = multilabel_protocol(options, INFO)
    scorer = LabelsScorer(CaseEvaluationOptions(protocol=options, clips=len(logits[0])), protocol, INFO)

    class Clip:
        def __init__(self, number: int) -> None:
            self.id, self.target = f"{number:03d}", torch.from_numpy(truth[number]).float()

    rows = [
        row
        for number, outputs in enumerate(torch.from_numpy(logits))
        for row in scorer.score(
            InferredViews(Clip(number), protocol.combine(outputs), (4, 8, 8)), final=True, folder=tmp_path
        )
    ]
    summary = scorer.summarise(rows)
    for figure, name in RECORDED.items():
        assert summary.metrics[figure] == pytest.approx(said[VIEWS[views]][name], rel=1e-6), figure
    assert summary.metrics["average_precision"] == pytest.approx(summary.metrics["map"])
    assert scorer.monitor == "map"
    how = {"probabilities": "mean of probabilities", "maximum": "largest of probabilities", "logits": "mean of logits"}
    assert f"protocol multilabel: {len(logits[0])} x 1 views" in summary.notes[0]
    assert how[views] in summary.notes[0]


def test_slowfasts_protocol_adds_up_sigmoids_where_there_are_labels(recorded) -> None:
    logits, truth, said = recorded
    protocol = slowfast_protocol(ProtocolOptions(name="slowfast"), INFO)
    answers = torch.stack([protocol.combine(views) for views in torch.from_numpy(logits)]).numpy()
    assert protocol.figures.of(answers, truth)["map"] == pytest.approx(said["sigmoid_then_mean"][RECORDED["map"]])
    classes = slowfast_protocol(ProtocolOptions(name="slowfast"), TargetInfo("case", "class", ("a", "b")))
    assert classes.figures is None


@given(st.integers(0, 2**32 - 1))
def test_what_is_unknown_counts_nowhere(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, truth = random.random((20, 4)), random.integers(0, 2, (20, 4)).astype(float)
    hidden = random.random((20, 4)) < 0.1
    found = figures_of(scores, np.where(hidden, np.nan, truth))
    whole = ~hidden.any(axis=1)
    without = figures_of(scores[whole], truth[whole])
    for figure in ("mmit_map", "charades_map", "charades_weighted_map"):
        assert found[figure] == pytest.approx(without[figure], nan_ok=True)
    other = np.where(hidden, random.random((20, 4)), scores)
    assert figures_of(other, np.where(hidden, np.nan, truth)) == pytest.approx(found, nan_ok=True)


def test_without_a_positive_nothing_is_defined() -> None:
    assert all(np.isnan(value) for value in figures_of(np.full((3, 2), 0.5), np.zeros((3, 2))).values())
