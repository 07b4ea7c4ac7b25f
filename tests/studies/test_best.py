"""The best configuration of a study, and the folds by which the study predicts and is evaluated."""

import csv
import json
from pathlib import Path

import pytest
from tests.studies.conftest import draw

from medvid.cli.main import main

STUDY = """
study: {name: two, task: task.yaml}
folds: {count: 2, group: '^(p\\d+)_'}
configurations: {default: {}, untrained: {train: {optimizer: {lr: 1e-8}}}}
launcher: {name: slurm, submit: false}
"""


@pytest.fixture(scope="module")
def study(place: Path) -> Path:
    """A study of two configurations on two folds, each cell run in this process."""
    (place / "two.yaml").write_text(STUDY)
    assert main(["study", "two.yaml"]) == 0
    for number in range(4):
        assert main(["study", "cell", "studies/two", str(number)]) == 0
    return Path("studies/two")


def test_the_best_configuration_is_named_with_its_runs_and_the_winners_curse(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "best", str(study)]) == 0
    out = capsys.readouterr().out
    best = "default" if "best configuration: default" in out else "untrained"
    other = {"default": "untrained", "untrained": "default"}[best]
    values = json.loads((study / "summary.json").read_text())["configurations"]
    assert values[best]["metrics"]["dice"]["value"] >= values[other]["metrics"]["dice"]["value"]
    assert f"cells/{best}-f0-s1\n" in out
    assert f"cells/{best}-f1-s1\n" in out
    assert f"{other} - {best}" in out
    assert "looks better than it is" in out
    assert main(["study", "compare", str(study), "--baseline", "default"]) == 0
    out = capsys.readouterr().out
    assert "untrained - default" in out
    assert "4 patients with 8 cases" in out  # the folds' own groups


def test_it_predicts_by_the_mean_of_its_folds(study: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new", ["q0_0", "q1_0"])
    assert main(["predict", str(study), str(tmp_path / "new" / "images"), "-o", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    runs = [record["run"], *(other["run"] for other in record["with"])]
    assert [run[-6:] for run in runs] == ["-f0-s1", "-f1-s1"]
    assert record["average"] == "probabilities"
    run = study / "cells" / runs[0]
    assert main(["predict", str(study), str(run), str(tmp_path / "new"), "-o", str(tmp_path / "no")]) == 2


def test_it_is_evaluated_by_the_mean_of_its_folds(study: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new", ["q0_0", "q1_0"])
    assert main(["evaluate", str(study), "--data", str(tmp_path / "new"), "-o", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["average"], len(summary["with"]), summary["cases"]) == ("probabilities", 1, 2)
    with (tmp_path / "out" / "cases.csv").open() as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"q0_0", "q1_0"}


def test_training_cases_of_any_fold_are_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(study), "--data", "own"]) == 4
    assert "8 of 8 cases" in capsys.readouterr().err


def test_without_a_test_split_it_says_what_to_do(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(study)]) == 4
    err = capsys.readouterr().err
    assert "no split 'test'" in err
    assert "--data FOLDER" in err
