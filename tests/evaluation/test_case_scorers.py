"""The closing evaluation of cases: figures with intervals in a file, and pictures of them, by what is predicted."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from medvid.evaluation.inference.views import InferredViews
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import make_evaluator
from medvid.testing.toy import ToyCase

HOST = make_host()
CURVES = ["roc.png", "precision_recall.png", "calibration.png"]
TARGETS = {
    "two": TargetInfo("case", "class", ("normal", "lesion")),
    "many": TargetInfo("case", "class", tuple(f"class {number}" for number in range(31))),
    "labels": TargetInfo("case", "labels", ("effusion", "nodule"), has_unknown=True),
    "values": TargetInfo("case", "value", ("ef", "edv/esv"), ("%", ""), has_unknown=True),
}


@dataclass(frozen=True)
class Patient(ToyCase):
    """A case that says whose it is."""

    patient: str = "p"


def closed(target: str, folder: Path, cases: int = 12, **options: Any) -> tuple[Any, dict[tuple[str, str], Any], list]:
    """Score random answers: the summary, the rows of figures.csv by figure and name, and the pictures."""
    info, random = TARGETS[target], torch.Generator().manual_seed(0)
    scorer = make_evaluator(HOST, InputInfo("image", 1, (4, 4)), info, **options).scorer
    rows = []
    for number in range(cases):
        answer = torch.randn(len(info.names), generator=random).double()
        case = Patient(str(number), torch.zeros(1, 4, 4), truth(info, number), "image", patient=str(number // 2))
        rows += scorer.score(InferredViews(case, as_answer(info, answer), (4, 4)), final=True, folder=folder)
    files = scorer.figures(rows, folder)
    path = folder / "figures.csv"
    with path.open() if path.exists() else (folder / "classes.csv").open() as file:
        figures = {(row.get("figure", ""), row.get("of", "")): row for row in csv.DictReader(file)}
    return scorer.summarise(rows), figures, [file.name for file in files]


def truth(info: TargetInfo, number: int) -> Tensor:
    if info.what == "class":
        return torch.tensor(number % len(info.names))
    return torch.tensor([float(number % 2), float(number % 3 == 0)])


def as_answer(info: TargetInfo, answer: Tensor) -> Tensor:
    return {"class": answer.log_softmax(0), "labels": answer.sigmoid(), "value": answer}[info.what]


def test_two_classes_are_scored_as_a_positive_and_a_negative(tmp_path: Path) -> None:
    summary, figures, files = closed("two", tmp_path, figures=1)
    assert files[:4] == ["confusion.png", *CURVES]
    auroc = figures["auroc", ""]
    assert float(auroc["value"]) == pytest.approx(summary.metrics["auroc"])
    assert float(auroc["low"]) < float(auroc["value"]) < float(auroc["high"])
    assert (auroc["resamples"], auroc["level"]) == ("200", "0.95")
    assert "the positive class is lesion" in summary.notes
    assert not {"accuracy", "balanced_accuracy"} & set(summary.metrics)  # top1 and mean_class


def test_grades_have_kappas_with_weights(tmp_path: Path) -> None:
    plain, _, _ = closed("two", tmp_path, figures=0)
    graded, figures, _ = closed("two", tmp_path, figures=0, ordered=True)
    assert set(graded.metrics) - set(plain.metrics) == {"kappa_linear", "kappa_quadratic"}
    assert float(figures["kappa_quadratic", ""]["value"]) == pytest.approx(graded.metrics["kappa"])  # of two classes


def test_many_classes_have_no_column_each(tmp_path: Path) -> None:
    summary, _, files = closed("many", tmp_path, figures=1)
    assert files[:1] == ["confusion.png"]
    assert not set(CURVES) & set(files)
    assert (tmp_path / "figures.csv").exists() is ("auroc" in summary.metrics) is False


def test_labels_are_scored_by_name(tmp_path: Path) -> None:
    summary, figures, files = closed("labels", tmp_path, figures=1)
    assert files == CURVES
    assert float(figures["auroc", "nodule"]["value"]) == pytest.approx(summary.metrics["auroc/nodule"])
    assert {of for figure, of in figures if figure == "auroc"} == {"", "effusion", "nodule"}


def test_values_are_drawn_each_with_its_unit(tmp_path: Path, texts: list[str]) -> None:
    summary, figures, files = closed("values", tmp_path, figures=1)
    assert files == ["agreement_ef.png", "agreement_edv%2Fesv.png"]
    assert {"truth (%)", "truth"} <= set(texts)
    assert ("mae", "") not in figures
    assert float(figures["mae", "ef"]["value"]) == pytest.approx(summary.metrics["mae/ef"])


@pytest.mark.parametrize("target", ["two", "labels", "values"])
def test_pictures_and_intervals_can_be_left_out(target: str, tmp_path: Path) -> None:
    _, figures, files = closed(target, tmp_path, figures=0, resamples=0)
    assert files == []
    assert all("low" not in row for row in figures.values())


@pytest.mark.parametrize("target", ["two", "labels", "values"])
def test_intervals_are_over_patients(target: str, tmp_path: Path) -> None:
    """A single patient is drawn again and again: nothing varies."""
    _, figures, _ = closed(target, tmp_path, cases=2, figures=0)
    rows = [row for row in figures.values() if row["value"]]
    assert rows
    assert all(float(row["low"]) == float(row["high"]) == float(row["value"]) for row in rows)
