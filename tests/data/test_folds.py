from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.folds import folds_of
from medvid.data.groups import groups_by
from medvid.errors import DataError


@given(st.sets(st.text("abc", min_size=1, max_size=4), min_size=5, max_size=40), st.integers(2, 5))
def test_each_case_is_held_out_once_in_folds_of_like_size(cases: set[str], count: int) -> None:
    folds = folds_of([*cases], count)
    assert Counter(case for fold in folds for case in fold["val"]) == Counter(cases)
    assert all(sorted([*fold["train"], *fold["val"]]) == sorted(cases) for fold in folds)
    sizes = [len(fold["val"]) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(st.dictionaries(st.integers(0, 60).map(str), st.sampled_from("abcdefg"), min_size=12))
def test_groups_stay_together(groups: dict[str, str]) -> None:
    count = min(3, len(set(groups.values())))
    folds = folds_of([*groups], count, groups)
    for fold in folds:
        assert not {groups[case] for case in fold["train"]} & {groups[case] for case in fold["val"]}
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(groups)


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(DataError, match="4 cases cannot make 5 folds"):
        folds_of([*"abcd"])
    with pytest.raises(DataError, match="1 groups cannot make 2 folds"):
        folds_of([*"abcd"], 2, dict.fromkeys("abcd", "one"))


def test_groups_are_what_a_pattern_finds_in_names() -> None:
    cases = ["patient01_a", "patient01_b", "patient2_a"]
    assert groups_by(cases, r"\d+") == dict(zip(cases, ["01", "01", "2"], strict=True))
    assert groups_by(cases, r"patient(\d)") == dict(zip(cases, "002", strict=True))
    with pytest.raises(DataError, match="finds no group in 2 of 3 names: patient01_b, patient2_a"):
        groups_by(cases, r"1_a$")
    with pytest.raises(DataError, match="is not a regular expression"):
        groups_by(cases, "(")
