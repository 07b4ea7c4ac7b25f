"""The spread of figures over cases, label by label."""

import math
from pathlib import Path

import matplotlib.image

from medvid.evaluation.boxes import SHOWN, draw_boxes
from medvid.evaluation.metrics.figure import Figure

FIGURES = (Figure("dice", "Dice"), Figure("hd95_mm", "HD95 (mm)"))


def test_each_label_has_a_box_over_its_defined_cases(tmp_path: Path, texts: list[str]) -> None:
    rows = [
        {"case": str(case), "label": label, "dice": case / 10, "hd95_mm": math.nan if label == "spleen" else case}
        for case in range(5)
        for label in ("liver", "spleen")
    ]
    path = draw_boxes(rows, FIGURES, tmp_path / "box_plots.png")
    assert matplotlib.image.imread(path).std() > 0
    assert {"liver", "spleen", "Dice", "HD95 (mm)"} <= set(texts)
    assert (texts.count("5"), texts.count("0")) >= (3, 1)  # cases of each box; ticks may say the same


def test_of_many_labels_the_first_are_drawn(tmp_path: Path, texts: list[str]) -> None:
    rows = [{"case": "a", "label": f"label {number}", "dice": 0.5} for number in range(SHOWN + 5)]
    draw_boxes(rows, FIGURES[:1], tmp_path / "box_plots.png")
    assert f"label {SHOWN - 1}" in texts
    assert f"label {SHOWN}" not in texts
