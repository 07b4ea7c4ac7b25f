"""Labels with sides."""

import pytest

from medvid.planning.sides import has_side


@pytest.mark.parametrize("name", ["left_kidney", "LeftKidney", "kidney, right", "LEFT LUNG", "lung-left-upper"])
def test_sides_are_words(name: str) -> None:
    assert has_side(name)


@pytest.mark.parametrize("name", ["background", "cleft", "bright spot", "lung", "leftover", ""])
def test_other_words_are_not(name: str) -> None:
    assert not has_side(name)
