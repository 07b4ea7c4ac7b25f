"""Folds of data sets: by what they are grouped and stratified, and what comes to them later."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medvid.data.case_labels import labels_of
from medvid.data.fold_files import Fold, write_folds
from medvid.data.fold_options import FoldsOptions
from medvid.data.folds import cases_to_divide, extend_folds, folds_of, make_folds
from medvid.data.splits import Splits
from medvid.errors import DataError
from medvid.plugin.specs import What, Where
from medvid.testing import ToyDataset, ToyOptions

STRATIFIED = FoldsOptions(count=3, stratify="labels")


class Known(ToyDataset):
    """Cases with the annotations that it is given; names of which the first letter says whose they are."""

    def __init__(
        self, annotations: Mapping[str, Any], where: Where = "case", what: What = "class", patients: bool = True
    ) -> None:
        super().__init__(
            ToyOptions(
                axes="image", where=where, what=what, channels=1, size=(8, 8), labels=("back", "one", "two"),
                units=("", "", "") if what == "value" else (), has_unknown=True,
            )
        )  # fmt: skip
        self._annotations, self._patients = annotations, patients

    def declared(self) -> Splits:
        return {"train": tuple(self._annotations), "test": ("test/1",)}

    def groups(self) -> Mapping[str, str]:
        return {case: case[0] for case in self._annotations} if self._patients else {}

    def annotation(self, case: str) -> np.ndarray | None:
        value = self._annotations[case]
        return None if value is None else np.array(value)


def held_out(folds: Sequence[Fold]) -> dict[str, int]:
    return {case: number for number, fold in enumerate(folds) for case in fold["val"]}


def check(folds: Sequence[Fold], cases: Sequence[str]) -> None:
    """Each case is held out once, and trained on in all other folds."""
    assert Counter(case for fold in folds for case in fold["val"]) == Counter(cases)
    assert all(sorted([*fold["train"], *fold["val"]]) == sorted(cases) for fold in folds)


NAMES = st.text("abcdefgh", min_size=2, max_size=4)
PATIENTS = st.dictionaries(NAMES, st.integers(0, 2), min_size=12).filter(lambda d: len({name[0] for name in d}) >= 3)


@given(PATIENTS, st.sampled_from(["none", "labels"]))
def test_patients_are_kept_whole(annotations: dict[str, int], stratify: Any) -> None:
    folds = make_folds(Known(annotations), FoldsOptions(count=3, stratify=stratify))
    check(folds, [*annotations])
    places = held_out(folds)
    assert all(places[one] == places[other] for one in places for other in places if one[0] == other[0])


@given(PATIENTS, st.dictionaries(st.text("aijk", min_size=5, max_size=6), st.integers(0, 2)), st.booleans())
def test_more_cases_move_nobody(annotations: dict[str, int], more: dict[str, int], is_stratified: bool) -> None:
    options = FoldsOptions(count=3, stratify="labels" if is_stratified else "none")
    folds = make_folds(Known(annotations), options)
    extended = extend_folds(folds, Known(annotations | more), options)
    check(extended, [*annotations, *more])
    before, after = held_out(folds), held_out(extended)
    assert {case: after[case] for case in before} == before
    assert all(after[one] == after[other] for one in after for other in after if one[0] == other[0])


def test_nnunets_folds_are_the_default_where_no_patient_is_known() -> None:
    annotations = {f"case{number}": number % 3 for number in range(11)}
    cases = [*annotations]
    assert make_folds(Known(annotations, patients=False), FoldsOptions()) == folds_of(cases)
    assert make_folds(Known(annotations, patients=False), FoldsOptions(seed=1)) != folds_of(cases)


def test_what_cannot_be_extended_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    dataset = Known(dict.fromkeys(["a1", "a2", "b1", "c1"], 0))
    kept = [{"train": ["b1", "a1"], "val": ["a2"]}, {"train": ["a2"], "val": ["b1", "a1"]}]
    with pytest.raises(DataError, match="a has cases in the folds 1 and 0: a2 and others"):
        extend_folds(kept, dataset, FoldsOptions())
    with pytest.raises(DataError, match="folds 0 and 1 both hold out a1"):
        extend_folds([{"train": [], "val": ["a1"]}, {"train": [], "val": ["a1"]}], dataset, FoldsOptions())
    with pytest.raises(DataError, match="1 cases are trained on but held out in no fold: b1"):
        extend_folds([{"train": ["b1"], "val": ["a1"]}], dataset, FoldsOptions())
    kept = [{"train": ["b1"], "val": ["a1", "gone"]}, {"train": ["a1", "gone"], "val": ["b1"]}]
    places = held_out(extend_folds(kept, dataset, FoldsOptions()))
    assert places.keys() == {"a1", "a2", "b1", "c1"}
    assert places["a2"] == places["a1"] == 0
    assert "1 cases of the folds are no longer there and are left out: gone" in caplog.text


def test_a_pattern_or_a_table_says_whose_cases_are(tmp_path: Path) -> None:
    dataset = Known(dict.fromkeys(["x1", "x2", "y1", "y2", "z1", "z2"], 0), patients=False)
    by_number = make_folds(dataset, FoldsOptions(count=2, group=r"\d"))
    assert sorted(fold["val"] for fold in by_number) == [["x1", "y1", "z1"], ["x2", "y2", "z2"]]
    table = tmp_path / "patients.csv"
    table.write_text("Case;Hospital;group\nx1;A;p\nx2;A;p\ny1;A;q\ny2;B;q\nz1;B;r\nz2;B;r\nelsewhere;C;s\n")
    by_group = make_folds(dataset, FoldsOptions(count=3, group={"file": table}))
    assert sorted(fold["val"] for fold in by_group) == [["x1", "x2"], ["y1", "y2"], ["z1", "z2"]]
    by_hospital = make_folds(dataset, FoldsOptions(count=2, group={"file": table, "column": "hospital"}))
    assert sorted(fold["val"] for fold in by_hospital) == [["x1", "x2", "y1"], ["y2", "z1", "z2"]]
    with pytest.raises(DataError, match="2 groups cannot make 5 folds"):
        make_folds(dataset, FoldsOptions(group={"file": table, "column": "Hospital"}))
    with pytest.raises(DataError, match="has no column 'town'; it has Case, Hospital, group"):
        make_folds(dataset, FoldsOptions(group={"file": table, "column": "town"}))
    with pytest.raises(DataError, match="the data set 'toy' in toy has no table with a column 'patient'"):
        make_folds(dataset, FoldsOptions(group={"column": "patient"}))
    table.write_text("case,group\nx1,p\nx2,\ny1,q\n")
    with pytest.raises(DataError, match=r"group says nothing of 4 of 6 cases: x2, y2, z1, z2"):
        make_folds(dataset, FoldsOptions(group={"file": table}))
    table.write_text("case,group\nx1,p\nx1,q\n")
    with pytest.raises(DataError, match=r"patients\.csv:3: case x1 is of q, and in an earlier line of p"):
        make_folds(dataset, FoldsOptions(group={"file": table}))


def test_groups_that_take_a_patient_apart_are_refused() -> None:
    with pytest.raises(DataError, match=r"fold 0: patients of whom .* [xyz] \("):
        make_folds(Known(dict.fromkeys(["x1", "x2", "y1", "y2"], 0)), FoldsOptions(count=2, group=r"\d"))


def test_a_file_is_read_and_checked(tmp_path: Path) -> None:
    path, dataset = tmp_path / "splits.json", Known(dict.fromkeys(["a1", "a2", "b1", "c1"], 0))
    folds: list[Fold] = [{"train": ["a1", "a2"], "val": ["b1"]}, {"train": ["b1"], "val": ["a1", "a2"]}]
    write_folds(path, folds)
    assert make_folds(dataset, FoldsOptions(file=path)) == folds
    with pytest.raises(DataError, match=r"fold 0 of .*splits\.json: patients of whom .* 1 \(a1, b1\)"):
        make_folds(dataset, FoldsOptions(file=path, group=r"\d"))
    write_folds(path, [*folds, {"train": ["a1"], "val": ["a2"]}])
    with pytest.raises(DataError, match=r"fold 2 of .*splits\.json: patients of whom .* a \(a1, a2\)"):
        make_folds(dataset, FoldsOptions(file=path))
    with pytest.raises(ValidationError, match="leave out count and seed"):
        FoldsOptions(file=path, count=3, seed=1)
    with pytest.raises(ValidationError, match="name a file, a column, or both"):
        FoldsOptions(group={})


@pytest.mark.parametrize(
    ("where", "what", "annotations", "labels"),
    [
        ("case", "class", [0, 2, -1, None], [["back"], ["two"], [], []]),
        ("case", "labels", [[1, 0, 1], [0, 0, -1], [-1, -1, -1]], [["back", "two"], ["none of them"], []]),
        ("frame", "class", [[0, 0, 2], [-1, 1]], [["back", "two"], ["one"]]),
        ("frame", "labels", [[[0, 1, 0], [0, 0, 1]], [[0, 0, 0]]], [["one", "two"], ["none of them"]]),
        ("voxel", "class", [[[0, 2], [2, -1]], [[0, 0]], [[-1, -1]]], [["two"], ["none of them"], []]),
        ("voxel", "labels", [[[[1]], [[0]], [[1]]], [[[0]], [[-1]], [[0]]]], [["back", "two"], ["none of them"]]),
    ],
)
def test_labels_of_all_kinds_of_targets(
    where: Where, what: What, annotations: list[Any], labels: list[list[str]]
) -> None:
    given = {f"p{number}": value for number, value in enumerate(annotations)}
    found = labels_of(Known(given, where, what), [*given], lambda *_: None)
    assert [sorted(found[case]) for case in given] == [sorted(each) for each in labels]


@pytest.mark.parametrize("where", ["case", "frame", "voxel"])
def test_values_are_divided_into_quarters_of_their_means(where: Where) -> None:
    nan = float("nan")
    values = {f"p{number}": [float(number), 5.0, nan] for number in range(8)}
    shaped = {
        "case": values,
        "frame": {case: [value, [nan, nan, nan], value] for case, value in values.items()},
        "voxel": {case: [[[number, nan, number]] for number in value] for case, value in values.items()},
    }[where]
    found = labels_of(Known(shaped, where, "value"), [*values], lambda *_: None)
    assert [found[f"p{number}"][0] for number in range(8)] == [f"back Q{1 + number // 2}" for number in range(8)]
    assert {labels[1:] for labels in found.values()} == {("one Q1",)}


def test_stratified_folds_share_out_each_class() -> None:
    annotations = {f"{letter}{number}": number % 3 for letter in "abcdef" for number in range(3)}
    apart = Known({case + str(n): label for case, label in annotations.items() for n in range(2)}, patients=False)
    for fold in make_folds(apart, STRATIFIED):
        assert Counter(int(case[1]) % 3 for case in fold["val"]) == {0: 4, 1: 4, 2: 4}


def test_test_cases_are_not_divided() -> None:
    assert cases_to_divide(Known({"a1": 0, "b1": 1})) == ("a1", "b1")
    with pytest.raises(DataError, match="has no labelled cases to divide into folds"):
        cases_to_divide(Known({}))
