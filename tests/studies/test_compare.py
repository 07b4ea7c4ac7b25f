"""Comparing runs by what they have written: figures of every target, pairs, patients, and what cannot be compared."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.studies.folders import Rows, masks, written

from medvid.cli.main import main
from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.evaluation.metrics.value_maps import row_of, summarise
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.studies.compare import SAME_CASES, compare
from medvid.studies.reading import read_sides
from medvid.studies.rows import pattern_of
from medvid.studies.sides import Side, read_side
from medvid.testing.evaluation import make_evaluator


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvid.studies.measured.POOLED_RESAMPLES", 40)


def side(folder: Path) -> Side:
    return read_side(folder)


@pytest.fixture
def two(tmp_path: Path) -> list[Side]:
    """Six cases of three patients; b is better in all but one."""
    names = ["p1_a", "p1_b", "p2_a", "p2_b", "p3_a", "p3_b"]
    random = np.random.default_rng(0)
    dice = {name: random.uniform(0.5, 0.8, 2).tolist() for name in names}
    better = {name: [value + 0.05 for value in values] for name, values in dice.items()}
    better["p3_b"] = [value - 0.01 for value in dice["p3_b"]]
    return read_sides([masks(tmp_path / "a", dice), masks(tmp_path / "b", better)])


def test_two_runs_are_compared_case_by_case(two: list[Side]) -> None:
    found = compare(two)
    assert (found.metric, found.better, found.cases, found.best) == ("dice", "higher", 6, "b")
    [pair] = found.pairs
    assert (pair.one, pair.other, pair.wins, pair.losses) == ("b", "a", 5, 1)
    assert pair.difference.mean == pytest.approx((5 * 0.05 - 0.01) / 6)
    assert pair.difference.p == pair.corrected == pytest.approx(4 / 64)
    assert found.notes[-1] == SAME_CASES
    for one, (value, interval) in found.figures.items():
        own = next(side for side in two if side.name == one)
        assert value == pytest.approx(own.summary["metrics"]["dice"])
        assert interval.low < value < interval.high


def test_where_lower_is_better_the_lower_one_wins(two: list[Side]) -> None:
    found = compare(two, metric="hd95_mm")
    assert (found.better, found.best) == ("lower", "b")
    assert (found.pairs[0].wins, found.pairs[0].losses) == (5, 1)
    assert found.pairs[0].difference.mean < 0


def test_one_label_and_another_baseline(two: list[Side]) -> None:
    found = compare(two, metric="dice/l2", baseline="b")
    assert (found.pairs[0].one, found.pairs[0].losses) == ("a", 5)
    assert found.figures["a"][0] == pytest.approx(two[0].summary["metrics"]["dice/l2"])


def test_scans_of_a_patient_count_as_one(two: list[Side]) -> None:
    found = compare(two, group=pattern_of("^(p[0-9]+)_"))
    assert (found.pairs[0].wins, found.pairs[0].losses) == (3, 0)
    assert found.pairs[0].difference.p == pytest.approx(2 / 8)
    assert "3 patients with 6 cases" in " ".join(found.notes)
    with pytest.raises(ConfigError, match="finds nothing in the case 'p1_a'"):
        compare(two, group=pattern_of("^x"))


def test_of_three_the_best_is_the_baseline_and_holm_corrects(two: list[Side], tmp_path: Path) -> None:
    third = masks(tmp_path / "c", {f"p{n}_{scan}": [0.1 * n, 0.2] for n in (1, 2, 3) for scan in "ab"})
    found = compare([*two, side(third)])
    assert {pair.other for pair in found.pairs} == {"b"}
    assert [pair.one for pair in found.pairs] == ["a", "c"]
    assert found.pairs[1].difference.p == pytest.approx(2 / 64)
    assert [pair.corrected for pair in found.pairs] == pytest.approx([4 / 64, 4 / 64])


def test_only_common_cases_count_and_that_is_said(tmp_path: Path) -> None:
    sides = read_sides(
        [masks(tmp_path / "a", {"x": [0.5], "y": [0.6]}), masks(tmp_path / "b", {"y": [0.7], "z": [0.1]})]
    )
    found = compare(sides)
    assert found.cases == 1
    assert "1 case of a is left out, which not all have: x" in found.notes
    assert found.pairs[0].difference.mean == pytest.approx(0.1)
    none = masks(tmp_path / "c", {"w": [0.5]})
    with pytest.raises(ConfigError, match="no case that all of them have: a has x, y; c has w"):
        compare([sides[0], side(none)])


def test_what_one_of_them_lacks_is_left_out_and_counted(tmp_path: Path) -> None:
    nan = math.nan
    sides = read_sides(
        [
            masks(tmp_path / "a", {"x": [0.5, nan], "y": [0.6, 0.2]}),
            masks(tmp_path / "b", {"x": [0.7, nan], "y": [nan, 0.1]}),
        ]
    )
    found = compare(sides)
    assert (found.pairs[0].difference.pairs, found.pairs[0].difference.left_out) == (2, 1)
    assert "1 of 4 pairs of case and name" in " ".join(found.notes)


def test_equal_runs_have_p_1(tmp_path: Path) -> None:
    dice = {"x": [0.5], "y": [0.6]}
    found = compare(read_sides([masks(tmp_path / "a", dice), masks(tmp_path / "b", dice)]))
    assert (found.pairs[0].difference.p, found.pairs[0].difference.equal) == (1.0, 2)


def test_other_data_under_the_same_names_are_said(tmp_path: Path) -> None:
    sides = []
    for name in "ab":
        folder = masks(tmp_path / name, {"x": [0.5], "y": [0.6]})
        known = {"validation": {case: {"digest": f"{case}{name if case == 'y' else ''}"} for case in "xy"}}
        (folder / "origin.json").write_text(json.dumps({"splits": known}))
        sides.append(side(folder))
    assert any("1 of 2 cases have other files" in note and note.endswith(": y") for note in compare(sides).notes)


def test_what_cannot_be_compared(two: list[Side], tmp_path: Path) -> None:
    for arguments, message in {
        ("metric", "nope"): "a has no figure 'nope'",
        ("baseline", "z"): "the baseline 'z' is not there: there are a, b",
    }.items():
        with pytest.raises(ConfigError, match=message):
            compare(two, **dict([arguments]))
    with pytest.raises(ConfigError, match="nothing to compare a with"):
        compare(two[:1])
    count = written(
        tmp_path / "count", [{"case": "x", "label": "l", "state": "scored", "voxels": 3}], {"voxels": 3}, {}
    )
    with pytest.raises(ConfigError, match="neither a higher nor a lower voxels is better"):
        compare([side(count), Side("other", count, side(count).rows, side(count).summary)])


def test_folders_that_are_not_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no cases\.csv"):
        read_side(tmp_path)
    (tmp_path / "resolved.yaml").touch()
    with pytest.raises(ConfigError, match="the run has not finished"):
        read_side(tmp_path)
    old = masks(tmp_path / "old", {"x": [0.5]})
    (old / "summary.json").write_text('{"metrics": {"dice": 0.5}}')
    with pytest.raises(DataError, match="an earlier version wrote it"):
        read_side(old)
    twice = masks(tmp_path / "twice", {"x": [0.5]})
    (twice / "cases.csv").write_text((twice / "cases.csv").read_text() + "x,l1,1,scored,0.4,8.6\n")
    with pytest.raises(DataError, match="the same case twice: x l1"):
        read_side(twice)
    (twice / "cases.csv").write_text("case,label,state,dice\nx,l1\n")
    with pytest.raises(DataError, match=r"cases\.csv:2 has another number of fields"):
        read_side(twice)
    with pytest.raises(ConfigError, match="is given twice"):
        read_sides([old, old])


def test_names_are_as_long_as_they_have_to_be(tmp_path: Path) -> None:
    folders = [masks(tmp_path / run / "evaluations" / "test-500", {"x": [0.5]}) for run in ("one", "two")]
    assert [side.name for side in read_sides(folders)] == ["one/evaluations/test-500", "two/evaluations/test-500"]


def class_rows(seed: int, names: Sequence[str], truth: np.ndarray, skill: float) -> Rows:
    """As the scorer of classes writes them."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 1, (len(truth), len(names))) + skill * np.eye(len(names))[truth]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return [
        {
            "case": f"c{case}",
            "label": names[true],
            "label_id": int(true),
            "predicted": names[int(of.argmax())],
            "rank": int((of >= of[true]).sum()),
            "probability_true": float(of[true]),
            **{f"probability/{name}": float(value) for name, value in zip(names, of, strict=True)},
        }
        for case, (true, of) in enumerate(zip(truth, p, strict=True))
    ]


@pytest.mark.parametrize("names", [("no", "yes"), ("a", "b", "c")])
def test_every_figure_of_classes_is_that_of_the_evaluation(names: Sequence[str], tmp_path: Path) -> None:
    truth = np.random.default_rng(0).integers(len(names), size=40)
    sides = []
    for number, skill in enumerate((0.5, 2.0)):
        rows = class_rows(number, names, truth, skill)
        p = np.array([[row[f"probability/{name}"] for name in names] for row in rows])
        found = figures_of_classes(p, truth, names)
        metrics = {**found.metrics, "top1": found.values["accuracy"], "mean_class": found.values["balanced_accuracy"]}
        better = {figure.column: figure.better for figure in found.figures} | {"top1": "higher", "mean_class": "higher"}
        sides.append(side(written(tmp_path / str(number), rows, metrics, better)))
    for metric in ("top1", "mean_class", "log_loss", "brier", "auroc", "f1", "kappa"):
        compared = compare(sides, metric=metric)
        assert compared.best == "1"
        for own in sides:
            assert compared.figures[own.name][0] == pytest.approx(own.summary["metrics"][metric])
        assert compared.pairs[0].difference.p < 0.05
        assert (compared.pairs[0].wins is None) == (metric in ("auroc", "f1", "kappa"))
    with pytest.raises(ConfigError, match="no ranks to test"):
        compare(sides, metric="auroc", test="wilcoxon")


def test_another_truth_of_the_same_case_is_refused(tmp_path: Path) -> None:
    sides = []
    for name, truth in {"one": [0, 1], "two": [0, 0]}.items():
        rows = class_rows(0, ("no", "yes"), np.array(truth), 1.0)
        sides.append(side(written(tmp_path / name, rows, {"top1": 1.0}, {"top1": "higher"})))
    with pytest.raises(DataError, match="c1 label has the truth no in two, and yes in another"):
        compare(sides)


def test_figures_of_labels_values_and_frames(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names, known = ("l", "m"), random.integers(2, size=(30, 2))
    p = np.clip(known * 0.4 + random.uniform(0, 0.6, known.shape), 0, 1)
    rows = [
        {"case": f"c{n // 3}", "slice": n % 3, "position_mm": 5.0 * (n % 3)}
        | {f"truth/{name}": float(t) for name, t in zip(names, true, strict=True)}
        | {f"probability/{name}": float(a) for name, a in zip(names, answer, strict=True)}
        for n, (true, answer) in enumerate(zip(known, p, strict=True))
    ]
    found = figures_of_labels(p, known, names)
    labels = side(written(tmp_path / "labels", rows, found.metrics, {f.column: f.better for f in found.figures}))
    worse = side(
        written(
            tmp_path / "worse",
            [row | {"probability/l": 0.5, "probability/m": 0.5} for row in rows],
            found.metrics,
            {f.column: f.better for f in found.figures},
        )
    )
    for metric in ("brier", "sensitivity", "specificity/m", "auroc", "average_precision/l"):
        compared = compare([labels, worse], metric=metric)
        assert compared.figures["labels"][0] == pytest.approx(found.metrics[metric])
        assert compared.cases == 30
        assert "10 patients with 30 cases" in " ".join(compared.notes)

    true, answers = random.normal(60, 9, (12, 1)), random.normal(60, 9, (12, 1))
    found = figures_of_values(answers, true, ["age"], ["years"])
    rows = [{"case": f"c{n}", "truth/age": true[n, 0], "prediction/age": answers[n, 0]} for n in range(12)]
    values = side(written(tmp_path / "age", rows, found.metrics, {f.column: f.better for f in found.figures}))
    right = side(
        written(
            tmp_path / "right",
            [row | {"prediction/age": row["truth/age"] + 0.1} for row in rows],
            found.metrics,
            {f.column: f.better for f in found.figures},
        )
    )
    for metric in ("mae", "rmse", "r2", "pearson"):
        compared = compare([values, right], metric=metric)
        assert compared.best == "right"
        assert compared.figures["age"][0] == pytest.approx(found.metrics[metric])


def test_figures_of_videos_are_compared_video_by_video(tmp_path: Path) -> None:
    """Every figure that rows of frames suffice for is that of the evaluation, and the default one works."""
    random, names = np.random.default_rng(0), ("cut", "sew", "wash")
    target = TargetInfo("frame", "class", names, has_unknown=True)
    folders = []
    for number, errors in enumerate((0.2, 0.4)):
        made = make_evaluator(
            make_host(), InputInfo("video", 3, (2, 4, 4)), target, protocol="phases", figures=0
        ).scorer
        rows = []
        for video in range(5):
            truth = np.repeat([0, 1, 2], [4, 6, 8]) if video else np.repeat([UNKNOWN, 1], [3, 9])
            answers = np.where(random.random(len(truth)) < errors, random.integers(3, size=len(truth)), truth.clip(0))
            place = ({"case": f"v{video}", "frame": frame, "time_s": frame} for frame in range(len(truth)))
            scores = torch.eye(3).double()[answers].log_softmax(1)
            rows += [made._each.row(*of, final=True) for of in zip(place, torch.from_numpy(truth), scores, strict=True)]
        found = made.summarise(rows)
        monitor = {made.monitor: found.metrics[made.monitor]}
        folders.append(written(tmp_path / str(number), rows, monitor | dict(found.metrics), dict(found.better)))
    sides = read_sides(folders)
    assert compare(sides).metric == "phase_f1"
    for metric in ("phase_accuracy", "phase_precision", "phase_recall_by_video", "phase_jaccard", "phase_jaccard/sew"):
        compared = compare(sides, metric=metric)
        assert compared.cases == 5
        for one in sides:
            assert compared.figures[one.name][0] == pytest.approx(one.summary["metrics"][metric])
    with pytest.raises(ConfigError, match="edit_score cannot be computed from the rows"):
        compare(sides, metric="edit_score")


def test_figures_of_maps_of_values(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folders = []
    for name, noise in {"noisy": 2.0, "exact": 0.1}.items():
        truth = np.random.default_rng(1).normal(50, 9, (5, 30))
        rows = [
            {"case": f"c{n}", "value": "dose", "unit": "Gy", **row_of(of + random.normal(0, noise, 30), of)}
            for n, of in enumerate(truth)
        ]
        better = {"mae": "lower", "rmse": "lower", "r2": "higher", "bias": ""}
        folders.append(written(tmp_path / name, rows, summarise(rows, ["dose"], ["Gy"]), better))
    sides = read_sides(folders)
    for metric in ("mae", "rmse/dose", "r2", "r2/dose"):
        compared = compare(sides, metric=metric)
        assert compared.best == "exact"
        for own in sides:
            assert compared.figures[own.name][0] == pytest.approx(own.summary["metrics"][metric])
    with pytest.raises(ConfigError, match="neither a higher nor a lower bias"):
        compare(sides, metric="bias")


def test_on_the_command_line(two: list[Side], capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(one.source) for one in two]
    assert main(["compare", *paths, "--baseline", paths[1], "--test", "wilcoxon"]) == 0
    out = capsys.readouterr().out
    assert "dice of 6 cases; higher is better" in out
    assert "a - b" in out
    assert "wins 1, losses 5, ties 0" in out
    assert out.rstrip().endswith(SAME_CASES)
    assert main(["compare", *paths, "--metric", "nope"]) == 2
