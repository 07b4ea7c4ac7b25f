"""Which cases a run uses."""

import pytest

from medvid.data.splits import (
    by_number,
    cases_of_run,
    check_copies,
    check_repeated,
    name_replaced,
    name_unused,
)
from medvid.errors import DataError
from medvid.testing import ToyDataset, ToyOptions

OPTIONS = ToyOptions(layout="image", task="classification", channels=1, size=(8, 8), labels=("a", "b"))


class OneSplit(ToyDataset):
    """Nothing is trained on."""

    def cases(self, split: str) -> tuple[str, ...]:
        return () if split == "train" else super().cases(split)


def test_the_cases_of_a_run_by_split() -> None:
    cases = cases_of_run(ToyDataset(OPTIONS), "validation")
    assert list(cases) == ["train", "validation"]
    assert list(cases_of_run(ToyDataset(OPTIONS), "train")) == ["train"]


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="the split 'train' of the data set in toy has no cases"):
        cases_of_run(OneSplit(OPTIONS), "validation")


def test_a_missing_split_comes_with_the_way_out() -> None:
    with pytest.raises(DataError, match="no split 'test'") as caught:
        cases_of_run(ToyDataset(OPTIONS), "test")
    assert "evaluation.split" in caught.value.hint


def test_cases_that_count_twice_are_refused() -> None:
    check_repeated({"train": ("a", "b"), "validation": ("c",)})
    with pytest.raises(DataError, match="split train names cases twice: b"):
        check_repeated({"train": ("b", "a", "b")})


def test_copies_on_one_side_are_said_and_on_both_refused() -> None:
    content = {"a": "1", "b": "2", "c": "1", "d": "3", "e": "3"}
    notes = check_copies({"train": ("a", "b", "c"), "validation": ("d", "e")}, content)
    assert notes == ("copies of one image, which count as often as there are: a = c, d = e",)
    with pytest.raises(DataError, match="1 held-out cases are copies of training cases: c = a"):
        check_copies({"train": ("a", "b"), "validation": ("c",)}, content)


def test_what_is_in_no_split_and_what_is_replaced_is_said() -> None:
    assert name_unused({"train": ("a",), "test": ("b",)}, ("a", "b")) == ()
    assert name_unused({"train": ("a",)}, ("a", "b", "c")) == ("in no split, and so not used: b, c",)
    declared = {"train": ("a", "b"), "validation": ("c",), "test": ("d",)}
    assert name_replaced(declared, {"train": ("b", "a"), "validation": ("d",)}) == (
        "the task replaces splits that the data set declares: validation",
    )
    assert name_replaced({"train": ("a", "b")}, {"train": ("a",), "validation": ("b",)}) == ()  # not divided yet


def test_numbers_of_cases() -> None:
    assert by_number(["img0007", "x_0012", "none"]) == {7: "img0007", 12: "x_0012"}
    with pytest.raises(DataError, match="img0007 and scan7 have the same number"):
        by_number(["img0007", "scan7"])
