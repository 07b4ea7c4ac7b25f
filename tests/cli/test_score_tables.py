"""Tables of answers against tables of the truth: each case accounted for, figures as an evaluation has them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

ANSWERS = (
    "case,path,predicted,cat,dog,eel\na,/x/a.png,cat,0.8,0.1,0.1\nb,,dog,0.2,0.7,0.1\nc,,dog,.3,.6,.1\nd,,dog,0,1,0\n"
)
TRUTH = "\ufefffile,label,patient\r\nimg/a.png,cat,1\r\nimg/b.png,dog,2\r\nimg/c.png,cat,2\r\nimg/d.png,,3\r\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("answers.csv").write_text(ANSWERS)
    Path("truth.csv").write_text(TRUTH)
    return tmp_path


def metrics() -> dict[str, float]:
    found: dict[str, float] = json.loads(Path("scores/summary.json").read_text())["metrics"]
    return found


def test_classes(platform: Any) -> None:
    result = platform("score", "answers.csv", "truth.csv")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "cases are matched by the names of their files, without folders and endings" in text
    assert "classes without a case in truth.csv: eel" in text
    assert "1 of 4 cases have no label" in text or "1 of 4" in text
    assert metrics()["accuracy"] == pytest.approx(2 / 3)
    with Path("scores/figures.csv").open() as file:
        accuracy = next(row for row in csv.DictReader(file) if row["figure"] == "accuracy")
    assert float(accuracy["low"]) <= 2 / 3 <= float(accuracy["high"])


def test_labels(platform: Any) -> None:
    Path("answers.csv").write_text("case,x,y\na,0.9,.2\nb,0.2,.3\nc,.8,.9\n")
    Path("truth.csv").write_text("case,y,x\nc,yes,1\na,0,1\nb,-1,0\n")
    assert platform("score", "answers.csv", "truth.csv", "--what", "labels").code == 0
    assert metrics()["auroc/x"] == 1.0
    assert json.loads(Path("scores/summary.json").read_text())["names"] == ["y", "x"]


def test_values_with_units(platform: Any) -> None:
    Path("answers.csv").write_text("case,age (years),volume (ml)\na,40,100\nb,50,90\n")
    Path("truth.csv").write_text("case,age,volume (l)\na,41,0.1\nb,,0.2\n")
    refused = platform("score", "answers.csv", "truth.csv", "--what", "value")
    assert refused.code == 4
    assert "truth.csv has 'volume (l)', answers.csv has 'volume (ml)'" in refused.err
    assert platform("score", "answers.csv", "truth.csv", "--what", "value", "--columns", "age").code == 0
    assert metrics()["mae"] == 1.0


@pytest.mark.parametrize(
    ("answers", "truth", "arguments", "code", "said"),
    [
        (ANSWERS.replace("c,,dog,.3,.6,.1\n", ""), TRUTH, [], 4, "answers.csv lacks cases (1): c"),
        (ANSWERS.replace("0.8", "1.8"), TRUTH, [], 4, "score 1.8 in column 0 is not a probability"),
        (ANSWERS.replace("0.8", "nan"), TRUTH, [], 4, "is not a probability"),
        (ANSWERS.replace("0.8", "good"), TRUTH, [], 4, "answers.csv:2: column cat: 'good' is not a number"),
        (ANSWERS.replace("b,,dog", "a,,dog"), TRUTH, [], 4, "answers.csv:3: a is named in line 2 already"),
        (ANSWERS, TRUTH.replace("img/b.png", "other/a.png"), [], 4, "lines 2 and 3 are of files 'a' in two folders"),
        (ANSWERS, TRUTH.replace("cat", "cow"), [], 4, "no column of probabilities for cow"),
        (ANSWERS, TRUTH.replace("label", "kind"), [], 2, "no column of classes by a usual name"),
        (ANSWERS, TRUTH, ["--labels", "a,b", "--ignore", "2"], 2, "--labels, --ignore are for masks"),
        (ANSWERS, TRUTH, ["--what", "value"], 2, "have no columns in common"),
        (ANSWERS, TRUTH, ["--what", "value", "--columns", "age"], 4, "truth.csv has no column 'age'"),
        (ANSWERS.replace("case", "who").replace("path", "at"), TRUTH, [], 4, "no column that names the cases"),
    ],
)
def test_what_does_not_fit_is_refused(
    platform: Any, answers: str, truth: str, arguments: list[str], code: int, said: str
) -> None:
    Path("answers.csv").write_text(answers)
    Path("truth.csv").write_text(truth)
    result = platform("score", "answers.csv", "truth.csv", *arguments)
    assert (result.code, said in " ".join(result.err.split())) == (code, True), result.err
    assert not Path("scores").exists()


def test_cases_that_both_have(platform: Any) -> None:
    Path("answers.csv").write_text(ANSWERS.replace("c,,dog,.3,.6,.1\n", ""))
    result = platform("score", "answers.csv", "truth.csv", "--common")
    assert result.code == 0
    assert "answers.csv lacks cases (1): c" in " ".join(result.out.split())
    assert metrics()["accuracy"] == 1.0
