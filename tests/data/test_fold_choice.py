"""`dataset.fold`: what a file of folds means, whatever the data set."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medvid.config.options import FoldOptions
from medvid.data.fold_choice import record_of_fold
from medvid.data.fold_files import read_folds, write_folds
from medvid.data.groups import check_groups
from medvid.data.splits import Splits
from medvid.errors import DataError
from medvid.testing import ToyDataset, ToyOptions

DECLARED: Splits = {"train": ("a1", "a2", "b1", "c1"), "validation": ("d1",), "test": ("t",)}


class Folded(ToyDataset):
    """Its names say whose a case is; the test case has no label."""

    def declared(self) -> Splits:
        return DECLARED

    def divide(self) -> Splits:
        raise AssertionError("a fold says what is held out")

    def groups(self) -> Mapping[str, str]:
        return {case: case[0] for cases in DECLARED.values() for case in cases}

    def labelled(self) -> tuple[str, ...]:
        return tuple(case for case in super().labelled() if case not in {"t", "c1"})


@pytest.fixture
def open_fold(tmp_path: Path) -> Any:
    def open_fold(content: object, index: int = 0) -> Folded:
        path = tmp_path / "splits.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return Folded(options(fold={"file": path, "index": index}))

    return open_fold


def options(**values: Any) -> ToyOptions:
    return ToyOptions(axes="image", where="case", what="class", channels=1, size=(8, 8), labels=("a", "b"), **values)


def fold(train: Sequence[str], val: Sequence[str]) -> dict[str, Sequence[str]]:
    return {"train": train, "val": val}


def test_the_chosen_fold_is_trained_and_validated_and_the_rest_is_said(
    open_fold: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folds = [fold(["b1"], ["d1"]), fold(["d1", "b1"], ["a2", "a1"])]
    dataset = open_fold(folds, 1)
    assert dataset.cases("train") == ("d1", "b1")
    assert dataset.splits == {"train": ("d1", "b1"), "validation": ("a2", "a1"), "test": ("t",)}
    assert "fold 1 of" in caplog.text
    assert "1 cases are neither trained on nor held out: c1" in caplog.text
    assert "replaces splits declared by the data set: train, validation" in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (fold(["x", "a1"], ["b1"]), "fold 0 of .*splits.json: train names 1 cases that do not exist: x"),
        (fold(["a1"], ["b1", "y"]), "fold 0 of .*splits.json: val names 1 cases that do not exist: y"),
        (fold(["a1", "a1"], ["b1"]), "train names cases twice: a1"),
        (fold(["a1", "a2"], ["a1"]), "fold 0 of .* both trains on and holds out 1 cases: a1"),
        (fold(["a1"], ["t"]), "val names 1 cases without labels: t"),
        (fold(["c1"], ["a1"]), "train names 1 cases without labels: c1"),
        (fold([], ["a1"]), "fold 0 of .* has no cases in train"),
        (fold(["a1"], []), "fold 0 of .* has no cases in val"),
        (fold(["a1"], ["a2", "b1"]), r"fold 0 of .*: patients of whom .* a \(a1, a2\)"),
    ],
)
def test_what_cannot_be_is_refused_by_file_fold_and_case(open_fold: Any, given: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_fold([given]).cases("train")


def test_test_cases_are_in_no_fold(open_fold: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folded, "labelled", ToyDataset.labelled)
    with pytest.raises(DataError, match="names 1 cases that are test cases of the data set: t"):
        open_fold([fold(["a1"], ["t"])]).cases("train")


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", '[{"train": ["a1"]}]', '[{"train": [1], "val": []}]'])
def test_files_of_another_form_are_refused(open_fold: Any, content: str) -> None:
    with pytest.raises(DataError, match=r"splits\.json has to hold a list of \{train"):
        open_fold(content).cases("train")


def test_files_that_cannot_be_read_and_folds_that_there_are_not(open_fold: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the folds 0 to 0, not 1"):
        open_fold([fold(["a1"], ["b1"])], 1).cases("train")
    with pytest.raises(DataError, match="cannot be read as JSON: duplicate key 'val'"):
        open_fold('[{"train": ["a1"], "val": ["b1"], "val": ["d1"]}]').cases("train")
    with pytest.raises(DataError, match=r"absent\.json does not exist"):
        Folded(options(fold={"file": tmp_path / "absent.json", "index": 0})).cases("train")
    with pytest.raises(DataError, match=r"has neither splits_final\.json nor a list with folds"):
        Folded(options(fold=1, root=tmp_path)).cases("train")


def test_a_number_alone_is_a_fold_of_the_folders_file(tmp_path: Path) -> None:
    write_folds(tmp_path / "splits_final.json", [fold(["a1"], ["b1"]), fold(["b1"], ["a1"])])  # type: ignore[list-item]
    assert Folded(options(fold=1, root=tmp_path)).cases("validation") == ("a1",)


def test_a_fold_and_a_share_to_hold_out_contradict_each_other() -> None:
    class Shared(ToyOptions):
        validation_fraction: float = 0.2

    values = options(fold=0).model_dump()
    assert Shared(**values).fold == 0
    with pytest.raises(ValidationError, match=r"validation_fraction, 0\.5, has to be left out or its default, 0\.2"):
        Shared(**values | {"validation_fraction": 0.5})


def test_a_run_keeps_the_digest_of_the_file(open_fold: Any) -> None:
    first = record_of_fold(open_fold([fold(["a1"], ["b1"])]).options)
    assert first == record_of_fold(open_fold([fold(["a1"], ["b1"])]).options)
    assert first["digest"] != record_of_fold(open_fold([fold(["a1"], ["d1"])]).options)["digest"]
    assert record_of_fold(options()) == {}


NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), max_size=4)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=3))
def test_files_hold_what_was_written(tmp_path_factory: pytest.TempPathFactory, parts: Any) -> None:
    path = tmp_path_factory.mktemp("folds") / "splits.json"
    written = [{"train": train, "val": val} for train, val in parts]
    write_folds(path, written)
    assert json.loads(path.read_text()) == written
    composed = [{side: [normalize("NFC", case) for case in cases] for side, cases in one.items()} for one in written]
    assert read_folds(path) == composed


@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), st.tuples(st.sampled_from("pqr"), st.booleans())))
def test_groups_on_both_sides_are_found(cases: Mapping[str, tuple[str, bool]]) -> None:
    groups = {case: group for case, (group, _) in cases.items()}
    splits = {
        name: tuple(case for case, (_, held) in cases.items() if held == is_held)
        for name, is_held in (("train", False), ("validation", True))
    }
    shared = {groups[case] for case in splits["train"]} & {groups[case] for case in splits["validation"]}
    if not shared:
        check_groups(groups, splits)
        return
    with pytest.raises(DataError) as caught:
        check_groups(groups, splits)
    assert all(f"{group} (" in str(caught.value) for group in shared)


def test_the_options_name_a_file_and_a_fold() -> None:
    assert options(fold={"file": "splits.json", "index": 2}).fold == FoldOptions(file=Path("splits.json"), index=2)
    with pytest.raises(ValidationError):
        options(fold=-1)
