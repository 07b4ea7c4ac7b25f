"""Which cases a run uses."""

import pytest

from medvid.data.splits import cases_of_run
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
