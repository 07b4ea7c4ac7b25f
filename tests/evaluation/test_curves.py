"""What stands in pictures of scores and of numbers, and that those without a figure are drawn, too."""

from pathlib import Path

import matplotlib.image
import numpy as np

from medvid.evaluation.agreement import draw_bland_altman
from medvid.evaluation.curves import NAME, SHOWN, draw_calibration, draw_precision_recall, draw_roc
from medvid.evaluation.metrics.calibration import calibration_bins

TRUTH, SCORE = np.array([0, 0, 1, 1]), np.array([0.1, 0.41, 0.35, 0.8])
NONE = np.zeros(2, int), np.array([0.1, 0.2])


def test_curves_have_their_figures(tmp_path: Path, texts: list[str]) -> None:
    scored = {"nodule": (TRUTH, SCORE), "absent": NONE}
    files = draw_roc(scored, tmp_path / "roc.png"), draw_precision_recall(scored, tmp_path / "pr.png")
    assert {"nodule 0.750 (2 of 4)", "nodule 0.833 (2 of 4)", "absent - (0 of 2)"} <= set(texts)
    assert all(matplotlib.image.imread(file).std() > 0 for file in files)


def test_many_curves_are_cut_and_long_names_too(tmp_path: Path, texts: list[str]) -> None:
    draw_roc({f"{number}{'x' * 40}": (TRUTH, SCORE) for number in range(30)}, tmp_path / "roc.png")
    named = [text for text in texts if "(2 of 4)" in text]
    assert len(named) == SHOWN
    assert all(len(text) < NAME + 20 for text in named)
    assert any(f"the first {SHOWN} of 30" in text for text in texts)


def test_calibration_has_its_error(tmp_path: Path, texts: list[str]) -> None:
    draw_calibration({"nodule": calibration_bins(SCORE, TRUTH), "none": calibration_bins(*NONE)}, tmp_path / "a.png")
    draw_calibration({"alone": calibration_bins(SCORE, TRUTH)}, tmp_path / "b.png")
    draw_calibration({"empty": calibration_bins(SCORE[:0], TRUTH[:0])}, tmp_path / "c.png")
    assert {"nodule 0.340", "none 0.150", "alone 0.340", "empty -"} <= set(texts)


def test_agreement_says_bias_limits_and_unit(tmp_path: Path, texts: list[str]) -> None:
    truth = np.array([40.0, 50.0, 60.0])
    draw_bland_altman(truth, truth + np.arange(1, 4), "ejection fraction", "%", tmp_path / "a.png")
    assert {"bias 2.00", "- 1.96 sd 0.04", "+ 1.96 sd 3.96", "prediction - truth (%)"} <= set(texts)
    texts.clear()
    for cases in (0, 1):
        draw_bland_altman(truth[:cases], truth[:cases], "age", "", tmp_path / "b.png")
    assert {"age, 0 cases", "age, 1 case", "bias 0.00"} <= set(texts)
    assert not any("1.96" in text for text in texts)
