"""Which cases a run uses."""

import pytest

from medvid.data.splits import (
    SplitOptions,
    Splits,
    cases_of_run,
    check_copies,
    check_repeated,
    check_splits,
    choose_splits,
    name_replaced,
    name_unused,
)
from medvid.errors import DataError
from medvid.testing import ToyDataset, ToyOptions

OPTIONS = ToyOptions(axes="image", where="case", what="class", channels=1, size=(8, 8), labels=("a", "b"))


class OneSplit(ToyDataset):
    """Nothing is trained on."""

    def declared(self) -> Splits:
        return {**super().declared(), "train": ()}


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
    assert notes == ("copies of one image, each of which counts: a = c, d = e",)
    with pytest.raises(DataError, match="1 held-out cases are copies of training cases: c = a"):
        check_copies({"train": ("a", "b"), "validation": ("c",)}, content)


def test_what_is_in_no_split_and_what_is_replaced_is_said() -> None:
    assert name_unused({"train": ("a",), "test": ("b",)}, ("a", "b")) == ()
    assert name_unused({"train": ("a",)}, ("a", "b", "c")) == ("cases in no split are not used: b, c",)
    declared = {"train": ("a", "b"), "validation": ("c",), "test": ("d",)}
    assert name_replaced(declared, {"train": ("b", "a"), "validation": ("d",)}) == (
        "the task replaces splits declared by the data set: validation",
    )
    assert name_replaced({"train": ("a", "b")}, {"train": ("a",), "validation": ("b",)}) == ()  # not divided yet


FOLDER: Splits = {"train": ("a", "b", "c"), "test": ("t",)}


def own() -> Splits:
    return {"train": ("a", "b"), "validation": ("c",)}


def test_each_split_is_the_tasks_else_the_folders_else_the_data_sets_own(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_splits(None, {}, own) == own()
    assert choose_splits(None, FOLDER, own) == {**own(), "test": ("t",)}
    assert choose_splits(None, FOLDER, dict) == FOLDER
    assert not caplog.messages
    asked = SplitOptions(train=("b",), validation=("a",))
    assert choose_splits(asked, FOLDER, own) == {"train": ("b",), "validation": ("a",), "test": ("t",)}
    assert choose_splits(asked, {**FOLDER, **own()}, own)["validation"] == ("a",)
    assert caplog.messages == ["the task replaces splits declared by the data set: train, validation"]


def test_an_empty_list_leaves_a_split_of_the_folder_out() -> None:
    asked = SplitOptions(train=("a", "t"), validation=("b",))
    splits = choose_splits(asked, FOLDER, own)
    with pytest.raises(DataError, match="1 cases are both trained on and held out: t") as caught:
        check_splits(splits, asked, "abct", "abct")
    assert "dataset.split.test: []" in caught.value.hint
    without = asked.model_copy(update={"test": ()})
    assert choose_splits(without, FOLDER, own) == {"train": ("a", "t"), "validation": ("b",)}
    assert SplitOptions(**without.model_dump()) == without


def test_training_cases_are_held_out_only_where_the_task_asks_for_all_of_them(caplog: pytest.LogCaptureFixture) -> None:
    everything: Splits = {"train": ("a", "b"), "validation": ("a", "b")}
    with pytest.raises(DataError, match="2 cases are both trained on and held out"):
        check_splits(everything, None, "ab", "ab")
    check_splits(everything, SplitOptions(**everything), "ab", "ab")
    assert "figures show fit, not generalisation" in caplog.text


def test_what_is_trained_on_has_labels() -> None:
    with pytest.raises(DataError, match="split train has 2 cases without labels: b, c"):
        check_splits(FOLDER, None, "abct", "a")
