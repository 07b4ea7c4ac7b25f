"""ACDC's figures by phase and patient, from the rows of an evaluation to the summary and patients.csv."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from medvid.config.examples import read_options
from medvid.evaluation.evaluator import Summary
from medvid.evaluation.inference.windows import InferredVoxels
from medvid.evaluation.metrics.groups import by_group, group_metrics
from medvid.evaluation.patients import patient_metrics, patient_rows
from medvid.evaluation.protocols import DICE
from medvid.evaluation.scoring.label_maps import LabelMapScorer
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import ProtocolSpec
from medvid.testing.evaluation import make_evaluator
from medvid_cardiac.config import LABELS, ACDCOptions, ACDCProtocolOptions, HeartOptions
from medvid_cardiac.data import ACDC
from medvid_cardiac.hearts import generate
from medvid_cardiac.protocol import acdc_protocol, ejection_fraction, hausdorff

HOST = make_host()
INFO = TargetInfo("voxel", "class", LABELS)
SPACING = (4.0, 4.0, 8.0)
VOXEL = 4 * 4 * 8 / 1000  # ml


class Known:
    """The labels that a model is taken to have found."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels

    def labels(self) -> np.ndarray:
        return self._labels


def shrunk(truth: np.ndarray) -> np.ndarray:
    """Without the first and last slice: each structure loses a little."""
    found = truth.copy()
    found[:, :, [0, -1]] = 0
    return found


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, list[dict[str, Any]], dict[str, Any], Path]:
    """Three patients, of whom ES is found in part."""
    folder = tmp_path_factory.mktemp("acdc")
    generate(folder / "data", HeartOptions(train=3, test=1, shape=(24, 24, 5), spacing=SPACING))
    dataset = ACDC(ACDCOptions.model_validate({"root": folder / "data", "cache": folder / "cache"}))
    info = InputInfo(axes="volume", channels=1, size=(8, 8, 8))
    scorer = make_evaluator(HOST, info, INFO, protocol="acdc", figures=0).scorer
    assert isinstance(scorer, LabelMapScorer)
    rows, truths = [], {}
    for name in dataset.labelled()[:6]:
        case = dataset.open_case(name)
        truths[name] = case.native_truth()
        found = Known(shrunk(truths[name]) if name.endswith("ES") else truths[name])
        rows += scorer.score(InferredVoxels(case, found, found), final=True, folder=folder)  # type: ignore[arg-type]
    assert scorer.figures(rows, folder) == []
    return scorer.summarise(rows), rows, truths, folder


def test_dice_of_each_phase_stands_beside_that_of_all(evaluated: Any) -> None:
    summary, rows, truths, _ = evaluated
    metrics = summary.metrics
    assert (metrics["ED/dice"], metrics["ED/hd_mm"]) == (1.0, 0.0)
    assert 0.5 < metrics["ES/dice"] < 1
    assert metrics["dice"] == pytest.approx((1 + metrics["ES/dice"]) / 2)
    expected = []
    for name, truth in truths.items():
        if name.endswith("ES"):
            true, found = truth == 3, shrunk(truth) == 3
            expected.append(2 * (true & found).sum() / (true.sum() + found.sum()))
    assert metrics["ES/dice/left_ventricle"] == pytest.approx(np.mean(expected))
    assert any(note.startswith("ES, 3 cases: Dice 0.") for note in summary.notes)
    assert {(row["case"], row["patient"], row["groups"]) for row in rows} >= {("patient001_ES", "patient001", "ES")}


def test_volumes_fractions_and_mass_of_each_patient(evaluated: Any) -> None:
    summary, _, truths, folder = evaluated
    with (folder / "patients.csv").open() as file:
        patients = list(csv.DictReader(file))
    assert [row["patient"] for row in patients] == ["patient001", "patient002", "patient003"]
    errors = []
    for row in patients:
        ed, es = (truths[f"{row['patient']}_{phase}"] for phase in ("ED", "ES"))
        sizes = [(label_map == 3).sum() for label_map in (ed, es, shrunk(es))]
        true, predicted = (100 * (sizes[0] - after) / sizes[0] for after in sizes[1:])
        assert float(row["ef_left_ventricle_true"]) == pytest.approx(true)
        assert float(row["ef_left_ventricle_predicted"]) == pytest.approx(predicted)
        assert float(row["edv_right_ventricle_ml_true"]) == pytest.approx((ed == 1).sum() * VOXEL)
        assert float(row["mass_g_predicted"]) == pytest.approx((ed == 2).sum() * VOXEL * 1.05)
        errors.append(predicted - true)
    metrics = summary.metrics
    assert metrics["ef_left_ventricle/bias"] == pytest.approx(np.mean(errors))
    assert metrics["ef_left_ventricle/mae"] == pytest.approx(np.abs(errors).mean())
    assert metrics["ef_left_ventricle/sd"] == pytest.approx(np.std(errors, ddof=1))
    assert (metrics["mass_g/mae"], metrics["mass_g/pearson"]) == (0, pytest.approx(1))
    assert any(note.startswith("ejection fraction of left_ventricle (%), 3 patients: r ") for note in summary.notes)


def test_a_patient_with_one_phase_has_no_ejection_fraction(evaluated: Any) -> None:
    _, rows, _, _ = evaluated
    figures = acdc_protocol(ACDCProtocolOptions(name="acdc"), INFO).patients
    without = [row for row in rows if row["case"] != "patient002_ES"]
    patients = patient_rows(without, figures)
    assert [np.isnan(row["ef_left_ventricle_true"]) for row in patients] == [False, True, False]
    whole = patient_metrics(patient_rows([row for row in rows if row["patient"] != "patient002"], figures), figures)
    found = patient_metrics(patients, figures)
    assert found["ef_left_ventricle/mae"] == whole["ef_left_ventricle/mae"]
    assert patient_rows([{key: value for key, value in row.items() if key != "patient"} for row in rows], figures) == []


def test_what_is_not_defined() -> None:
    assert np.isnan(ejection_fraction(0.0, 10.0))
    assert ejection_fraction(120.0, 48.0) == pytest.approx(60)
    assert np.isnan(hausdorff((np.zeros(0), np.ones(2))))
    assert hausdorff((np.array([1.0, 3.0]), np.array([2.0]))) == 3.0


def test_labels_of_other_data_are_named_or_refused() -> None:
    options = read_options(HOST, HOST.spec(ProtocolSpec, "acdc"), {"cavities": ["LV"], "myocardium": ""})
    other = TargetInfo("voxel", "class", ("background", "LV"))
    options.check_target(other)
    with pytest.raises(ValueError, match="no label left_ventricle, right_ventricle, myocardium; there are LV"):
        ACDCProtocolOptions(name="acdc").check_target(other)
    with pytest.raises(ValidationError):
        ACDCProtocolOptions.model_validate({"name": "acdc", "density": 1.06})


@given(
    values=arrays.arrays(float, (4, 2), elements=st.floats(0, 1)),
    groups=st.lists(st.sampled_from(["", "ED", "ES", "4CH ED"]), min_size=4, max_size=4),
)
def test_a_group_has_the_figures_of_its_cases_alone(values: np.ndarray, groups: list[str]) -> None:
    rows = [
        {"case": str(case), "label": f"l{label}", "label_id": label, "state": "scored", "dice": values[case, label]}
        | ({"groups": groups[case]} if groups[case] else {})
        for case in range(4)
        for label in range(2)
    ]
    metrics = group_metrics(rows, [DICE.figure])
    assert by_group(rows).keys() == {word for group in groups for word in group.split()}
    for name in by_group(rows):
        chosen = values[[name in group.split() for group in groups]]
        assert metrics[f"{name}/dice"] == pytest.approx(chosen.mean(axis=0).mean())
        assert metrics[f"{name}/dice/l1"] == pytest.approx(chosen[:, 1].mean())
