"""The protocol echonet: clips averaged, intervals by its rule, areas of thresholds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from medvid.errors import ConfigError
from medvid.evaluation.metrics.intervals import echonet_interval
from medvid.evaluation.metrics.regression import mean_absolute_error, r2, root_mean_squared_error
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import make_evaluator
from medvid_echonet.protocol import FIGURES, figures_of, intervals, resampled
from medvid_echonet.protocol_config import EchoNetProtocolOptions

FIXTURE = Path(__file__).parents[1] / "parity" / "fixtures" / "regression"
ARRAYS = load_file(f"{FIXTURE}.safetensors")
CASES = json.loads(FIXTURE.with_suffix(".json").read_text())["cases"]
HOST = make_host()


def options(**more: Any) -> EchoNetProtocolOptions:
    return EchoNetProtocolOptions(name="echonet", **more)


def rows(truth: np.ndarray, prediction: np.ndarray, *others: str) -> list[dict[str, Any]]:
    return [
        {"case": str(number), "truth/EF": true, "prediction/EF": found, **dict.fromkeys(others, 1.0)}
        for number, (true, found) in enumerate(zip(truth.tolist(), prediction.tolist(), strict=True))
    ]


def scorer(protocol: object = "echonet", names: tuple[str, ...] = ("EF",)) -> Any:
    target = TargetInfo("case", "value", names, ("%",) * len(names), has_unknown=True)
    return make_evaluator(HOST, InputInfo("video", 3, (4, 8, 8)), target, protocol=protocol, figures=0).scorer


@pytest.mark.parametrize("figure", FIGURES)
def test_resampled_figures_and_their_intervals_are_those_of_the_fixture(figure: str) -> None:
    truth, prediction, draws = (ARRAYS[f"bootstrap.{name}"] for name in ("truth", "prediction", "resample"))
    expected = CASES["bootstrap"]["expected"][figure]
    values = resampled(truth, prediction, draws)[figure]
    assert values == pytest.approx(expected["values"], rel=1e-9)
    [ends] = [ends for name, ends in expected.items() if name.startswith("echonet rule")]
    found = echonet_interval(values)
    assert [found.low, found.high] == pytest.approx(ends, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_resampled_figures_are_the_figures_of_the_drawn_videos(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, prediction = random.integers(20, 80, size=count).astype(float), random.uniform(20, 80, size=count)
    draws = random.integers(count, size=(5, count))
    found = resampled(truth, prediction, draws)
    single = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2}
    for name, of in single.items():
        assert found[name] == pytest.approx([of(truth[draw], prediction[draw]) for draw in draws], nan_ok=True)


def test_figures_of_all_clips_are_of_the_mean_of_each_video() -> None:
    truth, video, clips = (ARRAYS[f"clips.{name}"] for name in ("truth", "clip_video", "clip_prediction"))
    scoring = scorer({"name": "echonet", "resamples": 500})
    means = [scoring.protocol.combine(torch.from_numpy(clips[video == one])[:, None]) for one in np.unique(video)]
    summary = scoring.summarise(rows(truth, torch.cat(means).numpy()))
    expected = CASES["clips"]["expected"]["all clips (mean per video, then metrics)"]
    for name, key in (("mae", "mae"), ("rmse", "rmse"), ("r2", "r2.sklearn")):
        assert summary.metrics[name] == pytest.approx(expected[key], rel=1e-9)
        assert summary.metrics[f"{name}_low"] < summary.metrics[name] < summary.metrics[f"{name}_high"]
    assert scoring.monitor == "r2"
    assert any("90 % intervals" in note for note in summary.notes)


def test_areas_are_of_true_fractions_above_each_threshold() -> None:
    truth, found = np.array([30.0, 36.0, 42.0, 50.0, 60.0]), np.array([44.0, 40.0, 45.0, 41.0, 70.0])
    metrics = scorer({"name": "echonet", "resamples": 0}).summarise(rows(truth, found)).metrics
    assert metrics["auroc_above_35"] == pytest.approx(2 / 4)  # 44 is above 40 and 41, of true 36 and 50
    assert metrics["auroc_above_40"] == pytest.approx(5 / 6)
    assert metrics["auroc_above_50"] == 1.0  # 50 is not above 50
    assert not any(name.endswith("_low") and name.startswith("mae") for name in metrics)
    unknown = np.append(truth, np.nan), np.append(found, 99.0)
    assert scorer({"name": "echonet", "resamples": 0}).summarise(rows(*unknown)).metrics == metrics


def test_intervals_repeat_and_are_not_defined_without_videos() -> None:
    truth, prediction = ARRAYS["plain.truth"], ARRAYS["plain.prediction"]
    assert intervals(truth, prediction, 300) == intervals(truth, prediction, 300)
    for count in (0, 1):
        found = figures_of(np.ones((count, 1)), np.full((count, 1), 50.0), 0, options(resamples=100))
        assert np.isnan([found["r2_low"], found["auroc_above_35"]]).all()


def test_a_target_without_an_ejection_fraction_is_refused() -> None:
    with pytest.raises(ValueError, match="measure is 'EF', but the values are ESV"):
        options().check_target(TargetInfo("case", "value", ("ESV",), ("ml",)))
    with pytest.raises(ConfigError, match="at least 1"):
        scorer({"name": "echonet", "thresholds": []})
    both = scorer({"name": "echonet", "resamples": 20}, ("ESV", "EF"))
    given_rows = rows(np.array([30.0, 60.0]), np.array([31.0, 62.0]), "truth/ESV", "prediction/ESV")
    assert both.summarise(given_rows).metrics["auroc_above_45"] == 1
