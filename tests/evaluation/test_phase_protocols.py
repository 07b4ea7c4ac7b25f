"""Protocols of phases, from the answers of frames to the figures: those of the field's script, videos whole."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch import Tensor

from medvid.config.compatibility import can_score
from medvid.config.phases import PUBLISHED, RelaxedPhasesProtocolOptions
from medvid.data.framed import FramedCase
from medvid.errors import ConfigError, DataError
from medvid.evaluation.inference.frames import InferredFrames
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.plugin.specs import ProtocolSpec
from medvid.testing.evaluation import make_evaluator

HOST = make_host()
CHOLEC80, M2CAI16 = PUBLISHED
FIXTURE = Path(__file__).parents[1] / "parity" / "fixtures" / "phases"
ARRAYS = load_file(f"{FIXTURE}.safetensors")
CASES = json.loads(FIXTURE.with_suffix(".json").read_text())["cases"]
TRUTH, ANSWERS = ([ARRAYS[f"unrelaxed.{side}{number}"] for number in range(6)] for side in ("gt", "pred"))


@dataclass(frozen=True)
class FramesAt(FramedCase):
    """Frames that are known by their times alone."""

    id: str
    target: Tensor | None
    times: list[float]

    @property
    def places(self) -> dict[str, Any]:
        return {"frame": range(len(self.times)), "time_s": self.times}

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        raise NotImplementedError


def scorer(protocol: object = "phases", names: tuple[str, ...] = CHOLEC80, **block: Any) -> Any:
    target = TargetInfo("frame", "class", names, has_unknown=True)
    return make_evaluator(HOST, InputInfo("video", 3, (4, 8, 8)), target, protocol=protocol, figures=0, **block).scorer


def answered(name: str, truth: np.ndarray, answers: np.ndarray, rate: float = 1.0, classes: int = 7) -> InferredFrames:
    likely = torch.full((len(answers), classes), 0.1).double()
    likely[torch.arange(len(answers)), torch.from_numpy(answers).long()] = 0.9
    target = torch.from_numpy(truth).long()
    case = FramesAt(name, target, [number / rate for number in range(len(truth))])
    return InferredFrames(case, likely.log_softmax(1), "windows")


def rows_of(scoring: Any, videos: list[InferredFrames], *, final: bool = False) -> list[dict[str, Any]]:
    return [row for video in videos for row in scoring.score(video, final=final, folder=Path("unused"))]


def metrics_of(scoring: Any, videos: list[InferredFrames]) -> dict[str, float]:
    return scoring.summarise(rows_of(scoring, videos)).metrics


def fixture_videos(rate: float = 1.0) -> list[InferredFrames]:
    pairs = zip(TRUTH, ANSWERS, strict=True)
    return [answered(str(number), *pair, rate) for number, pair in enumerate(pairs)]


@pytest.mark.parametrize(
    ("protocol", "prefix", "published"),
    [
        ("phases", "phase", "unrelaxed"),
        ("phases_relaxed", "relaxed", "relaxed_intended_10s"),
        ("phases_relaxed_matlab", "relaxed_matlab", "relaxed_matlab_10s"),
        ({"name": "phases_relaxed_matlab", "seconds": 250}, "relaxed_matlab", "relaxed_matlab_fps25_on_1fps"),
    ],
)
def test_figures_of_frames_are_those_of_the_fields_script(protocol: object, prefix: str, published: str) -> None:
    metrics, expected = metrics_of(scorer(protocol), fixture_videos()), CASES[published]["expected"]
    assert 100 * metrics[f"{prefix}_accuracy"] == pytest.approx(expected["accuracy_mean"], rel=1e-9)
    for figure in ("precision", "recall", "jaccard"):
        of = expected[figure]
        assert 100 * metrics[f"{prefix}_{figure}"] == pytest.approx(of["videos then phases"], rel=1e-9)
        assert 100 * metrics[f"{prefix}_{figure}_by_video"] == pytest.approx(of["phases then videos"], rel=1e-9)
        each = [100 * metrics[f"{prefix}_{figure}/{name}"] for name in CHOLEC80]
        assert each == pytest.approx(of["mean over videos, per phase"], rel=1e-9)


def test_f1_and_segments_are_those_of_the_fixture() -> None:
    metrics, f1 = metrics_of(scorer(), fixture_videos()), CASES["unrelaxed"]["expected"]["f1"]
    macro = f1["macro F1 per video, mean over videos (0 if never predicted, phases not in truth left out)"]
    assert 100 * metrics["phase_f1"] == pytest.approx(macro, rel=1e-9)
    for protocol, case in (
        ("phases", "segmental"),
        ({"name": "phases", "background": CHOLEC80[:1]}, "segmental_background_0"),
    ):
        metrics, expected = metrics_of(scorer(protocol), fixture_videos()), CASES[case]["expected"]
        assert 100 * metrics["edit_score"] == pytest.approx(expected["edit_mean"], rel=1e-9)
        for least in (10, 25, 50):
            pooled = expected[f"f1@{least}"]["dataset (counts summed over videos)"]
            assert 100 * metrics[f"segment_f1_{least}"] == pytest.approx(pooled, rel=1e-9)


def test_a_border_of_seconds_has_frames_by_the_rate_of_the_data() -> None:
    """Each frame 25 times, at 25 frames per second, is the same as once at 1: but for the position within a second."""
    slow = metrics_of(scorer("phases_relaxed"), fixture_videos())
    pairs = [(truth.repeat(25), answers.repeat(25)) for truth, answers in zip(TRUTH, ANSWERS, strict=True)]
    fast = metrics_of(
        scorer("phases_relaxed"), [answered(str(number), *pair, 25.0) for number, pair in enumerate(pairs)]
    )
    for figure in ("relaxed_accuracy", "relaxed_jaccard", "relaxed_precision", "phase_jaccard", "edit_score"):
        assert fast[figure] == pytest.approx(slow[figure], rel=1e-9), figure


def test_the_published_fault_is_named_and_its_frame_rate() -> None:
    scoring = scorer("phases_relaxed_matlab")
    for rate, warned in ((1.0, False), (25.0, True)):
        summary = scoring.summarise(rows_of(scoring, fixture_videos(rate)))
        assert any("do not compare these with them" in note for note in summary.notes) is warned
        assert any("a fault of the published script" in note for note in summary.notes)
        assert f"frames per second: {rate:g}" in summary.notes


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_frames_that_nobody_annotated_count_nowhere(data: st.DataObject) -> None:
    """Whatever is answered there, and as if these frames were not in the video."""
    names, length = ("a", "b", "c"), data.draw(st.integers(1, 40))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    truth, answers = (random.integers(3, size=(length // 4 + 1)).repeat(4)[:length] for _ in range(2))
    unknown = random.random(length) < 0.3
    shown = np.where(unknown, UNKNOWN, truth)
    others = np.where(unknown, random.integers(3, size=length), answers)
    rule = {"name": "phases_relaxed", "late": [1, 1, 1], "early": [1, 1, 1], "seconds": 2}
    scoring = scorer(rule, names)
    further = answered("whole", np.arange(3), np.arange(3), classes=3)
    found = [
        metrics_of(scoring, [answered("a", *pair, classes=3), further])
        for pair in ((shown, answers), (shown, others), (truth[~unknown], answers[~unknown]))[
            : 3 if any(~unknown) else 2
        ]
    ]
    for other in found[1:]:
        assert found[0] == pytest.approx(other, nan_ok=True)


def test_intervals_are_by_resampled_patients(tmp_path: Path) -> None:
    """With the videos of a patient whole: two of each, alike, have the intervals of one of each."""
    found = []
    for copies in (1, 2):
        scoring = scorer(resamples=50)
        rows = [
            {**row, "case": f"{row['case']} {copy}", "patient": row["case"]}
            for copy in range(copies)
            for row in rows_of(scoring, fixture_videos(), final=True)
        ]
        folder = tmp_path / str(copies)
        folder.mkdir()
        scoring.figures(rows, folder)
        with (folder / "figures_of_videos.csv").open(newline="") as file:
            lines = {(line["figure"], line["of"]): line for line in csv.DictReader(file)}
        jaccard = lines["phase_jaccard", ""]
        assert float(jaccard["low"]) < float(jaccard["value"]) < float(jaccard["high"])
        assert jaccard["resamples"] == "50"
        found.append([float(line[end]) for line in lines.values() for end in ("low", "high") if line[end]])
    assert found[0] == pytest.approx(found[1])


def test_each_video_has_a_row_and_the_table_each_phase(tmp_path: Path) -> None:
    scoring = scorer(resamples=0)
    videos = [*fixture_videos(), answered("unknown", np.full(5, UNKNOWN), np.zeros(5, int))]
    rows = rows_of(scoring, videos, final=True)
    scoring.figures(rows, tmp_path)
    with (tmp_path / "videos.csv").open(newline="") as file:
        lines = [*csv.DictReader(file)]
    expected = CASES["unrelaxed"]["expected"]
    assert [100 * float(line["phase_accuracy"]) for line in lines[:6]] == pytest.approx(expected["accuracy_per_video"])
    assert lines[2][f"phase_jaccard/{CHOLEC80[0]}"] == ""  # the third video lacks it
    assert (lines[6]["frames"], lines[6]["frames_unknown"], lines[6]["phase_accuracy"]) == ("0", "5", "")
    summary = scoring.summarise(rows)
    heading, first, *_, last = summary.table
    assert heading[:5] == ("phase", "videos", "frames", "precision", "recall")
    assert first[:2] == (CHOLEC80[0], "5")
    assert last[-1] == f"{summary.metrics['phase_f1']:.3f}"
    assert "1 of 7 videos have no frame with a phase, and so no figures" in summary.notes
    assert summary.better["phase_jaccard"] == "higher"
    assert not any("not defined" in note and "phase_" in note for note in summary.notes)


@pytest.mark.parametrize("monitor", ["accuracy", "jaccard", "f1", "edit"])
def test_the_best_weights_are_chosen_by_a_figure_of_videos(monitor: str) -> None:
    scoring = scorer({"name": "phases", "monitor": monitor})
    metrics = metrics_of(scoring, fixture_videos())
    assert metrics[scoring.monitor] < 1
    right = [answered(str(number), truth, truth) for number, truth in enumerate(TRUTH)]
    assert metrics_of(scoring, right)[scoring.monitor] == pytest.approx(1)


@pytest.mark.parametrize(("names", "late"), [(CHOLEC80, (1, 1, 1, 1, 1, 2, 2)), (M2CAI16, (1, 1, 1, 1, 1, 1, 2, 2))])
def test_published_rules_are_found_by_the_phases_in_their_order(names: tuple[str, ...], late: tuple[int, ...]) -> None:
    options = RelaxedPhasesProtocolOptions(name="phases_relaxed")
    spelled = tuple(name.title() + "_ " for name in names)
    allowance = options.allowance(TargetInfo("frame", "class", spelled))
    assert allowance is not None
    assert allowance.late == late
    assert options.allowance(TargetInfo("frame", "class", names[::-1])) is None


def test_a_border_of_seconds_needs_times() -> None:
    """Slices lie in space: refused by the axes of a data set; times that do not rise, by name."""
    spec = HOST.spec(ProtocolSpec, "phases_relaxed")
    assert not can_score(spec, "frame", "class", "volume")
    assert can_score(spec, "frame", "class", "video")
    still = answered("still", np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(DataError, match="video still: a border of 10 s needs the times of its frames"):
        metrics_of(scorer("phases_relaxed"), [replace(still, case=replace(still.case, times=[0.0, 0.0, 0.0]))])


def test_rules_are_asked_for_where_none_is_published() -> None:
    info = TargetInfo("frame", "class", ("washing", "suturing"))
    with pytest.raises(ValueError, match="say with late and early how many phases away"):
        RelaxedPhasesProtocolOptions(name="phases_relaxed").check_target(info)
    with pytest.raises(ValueError, match="late has 1 numbers, but there are 2 phases"):
        RelaxedPhasesProtocolOptions(name="phases_relaxed", late=(1,), early=(1,)).check_target(info)
    with pytest.raises(ConfigError, match="late and early belong together"):
        scorer({"name": "phases_relaxed", "late": [1, 1]}, ("washing", "suturing"))


def test_weights_for_tools_are_chosen_by_endonets_map() -> None:
    target = TargetInfo("frame", "labels", ("hook", "clipper"), has_unknown=True)
    scoring = make_evaluator(HOST, InputInfo("video", 3, (4, 8, 8)), target, protocol="tools", figures=0).scorer
    truth = torch.tensor([[1, 0], [0, 0], [1, 1], [0, UNKNOWN]]).float()
    answers = torch.tensor([[0.9, 0.2], [0.8, 0.1], [0.7, 0.9], [0.1, 0.5]]).double()
    case = replace(FramesAt("a", truth, [0.0, 1.0, 2.0, 3.0]))
    metrics = metrics_of(scoring, [InferredFrames(case, answers, "windows")])
    assert scoring.monitor == "average_precision"
    assert metrics["average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
