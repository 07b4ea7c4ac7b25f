"""What the finished cells of a study say together, from what they have written."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.studies.folders import masks, written

from medvid.errors import DataError
from medvid.evaluation.metrics.ranking import auroc
from medvid.runs.folder import append_metrics
from medvid.studies.aggregate import aggregate
from medvid.studies.cells import Cell
from medvid.studies.compare import compare
from medvid.studies.curves import curves_of
from medvid.studies.folder import StudyFolder
from medvid.studies.rows import pattern_of
from medvid.studies.table import heading, lines
from medvid.studies.together import finished_cells, sides_of

CELLS = [Cell(name, fold, seed) for seed in (0, 1) for fold in (0, 1) for name in ("a", "b")]


def dice_of(cell: Cell) -> dict[str, list[float]]:
    """Of two patients with two scans in each fold, and two labels; b is better, and so is seed 1."""
    better = 0.1 * (cell.configuration == "b") + 0.02 * cell.seed
    assert cell.fold is not None
    return {
        f"p{2 * cell.fold + n}_{scan}": [0.4 + 0.1 * n + 0.2 * cell.fold + better, 0.5 + better]
        for n in (0, 1)
        for scan in "xy"
    }


def finish(study: StudyFolder, cell: Cell) -> Path:
    return masks(cell.run_folder(study).path, dice_of(cell), status="finished", seconds=1800.0)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A study of which one cell has not finished."""
    folder = StudyFolder(tmp_path / "two")
    for cell in CELLS[:-1]:
        finish(folder, cell)
    return folder


def test_the_table_has_each_case_with_its_cell(study: StudyFolder) -> None:
    found = aggregate(study, CELLS, group=pattern_of("^p[0-9]"))
    with study.cases.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7 * 4 * 2
    assert list(rows[0])[:6] == ["configuration", "fold", "seed", "case", "group", "label"]
    assert {(row["case"], row["group"]) for row in rows} == {
        (f"p{n}_{scan}", f"p{n}") for n in range(4) for scan in "xy"
    }
    assert {(row["fold"], row["seed"]) for row in rows if row["configuration"] == "b"} == {
        ("0", "0"), ("1", "0"), ("0", "1"),
    }  # fmt: skip
    assert (found.finished, found.cells) == (7, 8)
    assert "7 of 8 cells have finished; the cases of the others are absent: b-f1-s1" in found.notes


def test_figures_are_of_the_cases_of_all_folds(study: StudyFolder) -> None:
    found = aggregate(study, CELLS, group=pattern_of("^p[0-9]"))
    a = found.configurations["a"].metrics["dice"]
    of_seeds = [np.mean([dice for cell in CELLS if cell.seed == seed and cell.configuration == "a" for dice in dice_of(cell).values()]) for seed in (0, 1)]  # fmt: skip # noqa: E501
    assert a.by_seed == pytest.approx({0: of_seeds[0], 1: of_seeds[1]})
    assert a.value == pytest.approx(np.mean(of_seeds))
    assert a.sd_seeds == pytest.approx(np.std(of_seeds, ddof=1))
    assert a.by_fold == pytest.approx({0: 0.485, 1: 0.585})
    assert a.interval.low < a.value < a.interval.high
    b = found.configurations["b"].metrics["dice"]
    assert [*b.by_seed] == [0]  # of seed 1 a fold is missing
    assert math.isnan(b.sd_seeds)
    values = json.loads(study.summary.read_text())
    assert values["configurations"]["a"]["metrics"]["dice"]["value"] == pytest.approx(a.value)
    assert values["configurations"]["b"]["metrics"]["dice"]["sd_seeds"] is None
    assert (values["metric"], values["better"]["hd95_mm"], values["finished"]) == ("dice", "lower", 7)


def test_the_table_for_people(study: StudyFolder) -> None:
    found = aggregate(study, CELLS, metric="hd95_mm", group=pattern_of("^p[0-9]"))
    assert heading(found) == [
        "configuration", "cells", "hd95_mm", "95% CI (4 patients)", "sd seeds", "sd folds", "dice", "hours",
    ]  # fmt: skip
    assert lines(found)["b"][:2] == ["b", "3 of 4"]
    assert lines(found)["a"][-2:] == ["0.535", "2.0"]
    assert study.table.read_text().startswith("# two\n\n| configuration | cells | hd95_mm |")


def test_a_study_without_a_finished_cell_says_so(tmp_path: Path) -> None:
    found = aggregate(StudyFolder(tmp_path), CELLS)
    assert found.finished == 0
    assert lines(found)["a"] == ["a", "0 of 4", "-", "-", "-", "-", "0.0"]
    assert not StudyFolder(tmp_path).cases.exists()


def test_what_is_written_depends_on_the_cells_alone(study: StudyFolder) -> None:
    files = [study.cases, study.summary, study.table]
    aggregate(study, CELLS)
    before = [file.read_bytes() for file in files]
    aggregate(study, CELLS)
    assert [file.read_bytes() for file in files] == before
    finish(study, CELLS[-1])
    assert aggregate(study, CELLS).finished == 8
    assert "have finished" not in study.table.read_text()


def test_the_mean_over_seeds_comes_before_the_comparison(study: StudyFolder) -> None:
    done = finished_cells(study, CELLS)
    found = compare([*sides_of(study, done).values()], group=pattern_of("^p[0-9]"))
    [pair] = found.pairs
    assert (pair.one, pair.other) == ("b", "a")
    assert pair.wins == 4
    assert pair.difference.p == pytest.approx(2 / 16)
    folds = {0: 0.1, 1: 0.1 - 0.01}  # b lacks seed 1 in fold 1
    assert pair.difference.mean == pytest.approx(np.mean([*folds.values()]))


def test_validations_are_drawn_by_configuration(study: StudyFolder) -> None:
    for cell in CELLS[:4]:
        for step, dice in ((10, 0.5), (20, 0.6 + 0.1 * (cell.fold or 0))):
            append_metrics(cell.run_folder(study).metrics, step, "validation", {"dice": dice, "dice/l1": 0.1})
            append_metrics(cell.run_folder(study).metrics, step, "train", {"dice": 9.0, "loss": 1.0})
    done = finished_cells(study, CELLS)
    curve = {10: [0.5, 0.5], 20: [0.6, 0.7]}
    assert curves_of(study, done, "dice") == {"a": curve, "b": curve}
    aggregate(study, CELLS)
    with Image.open(study.figures / "curves.png") as picture:
        assert picture.size == (840, 540)


def test_folds_that_overlap_are_refused(study: StudyFolder) -> None:
    cell = CELLS[-1]
    masks(cell.run_folder(study).path, dice_of(Cell("b", 0, 1)), status="finished")
    with pytest.raises(DataError, match="the case p0_x is in the scored cases of b-f0-s1 and of b-f1-s1"):
        aggregate(study, CELLS)


def test_cells_without_folds(tmp_path: Path) -> None:
    study, cells = StudyFolder(tmp_path / "seeds"), [Cell("default", None, seed) for seed in (0, 1, 2)]
    for cell in cells:
        masks(cell.run_folder(study).path, {"x": [0.5 + 0.1 * cell.seed], "y": [0.7]}, status="finished")
    dice = aggregate(study, cells).configurations["default"].metrics["dice"]
    assert dice.by_fold == {}
    assert dice.sd_seeds == pytest.approx(0.05)
    assert dice.t_seeds.low < dice.value == pytest.approx(0.65)
    with study.cases.open() as file:
        assert next(csv.DictReader(file))["fold"] == ""


def test_a_figure_of_all_cases_is_of_the_folds_together_not_their_mean(tmp_path: Path) -> None:
    study, cells = StudyFolder(tmp_path / "pooled"), [Cell("default", fold, 0) for fold in (0, 1)]
    truth, p = np.array([0, 1, 0, 1]), np.array([[0.1, 0.3, 0.6, 0.8], [0.75, 0.8, 0.7, 0.9]])
    for cell, own in zip(cells, p, strict=True):
        rows = [
            {"case": f"f{cell.fold}_{n}", "truth/l": float(true), "probability/l": found}
            for n, (true, found) in enumerate(zip(truth, own, strict=True))
        ]
        metrics = {"auroc": auroc(truth, own), "weird": 1.0}
        written(cell.run_folder(study).path, rows, metrics, {"auroc": "higher"}, status="finished")
    found = aggregate(study, cells).configurations["default"].metrics
    together = auroc(np.tile(truth, 2), p.ravel())
    assert together != pytest.approx(np.mean([auroc(truth, own) for own in p]))
    assert found["auroc"].value == pytest.approx(together)
    assert found["auroc"].by_fold == pytest.approx({0: auroc(truth, p[0]), 1: auroc(truth, p[1])})
    assert found["auroc"].interval.low < together < found["auroc"].interval.high
    assert math.isnan(found["weird"].value)
