import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.names import Names, NameTable, chosen, members, together

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\udc80\udcff"), max_size=6)


@given(st.lists(TEXTS))
def test_a_table_is_a_dict_of_names_to_their_order(names: list[str]) -> None:
    table, expected = NameTable(), dict[str, int]()
    for name in names:
        assert table.add(name) == expected.setdefault(name, len(expected))
    assert [*table] == [*expected]
    for copy in (table, pickle.loads(pickle.dumps(table))):
        assert [copy.find(name) for name in expected] == [*expected.values()]
        assert [copy[place] for place in expected.values()] == [*expected]
    assert [name in table for name in (*names, "not one of them", 3)] == [True] * len(names) + [False] * 2


@given(st.lists(TEXTS, unique=True, min_size=1), st.data())
def test_some_names_are_a_sequence_like_a_tuple(names: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(names) - 1), unique=True))
    some, expected = NameTable(names).at(places), tuple(names[place] for place in places)
    part = data.draw(st.slices(len(places)))
    assert (some, some[part]) == (expected, expected[part])
    assert expected == some
    assert some + some == expected + some == some + expected == 2 * expected
    assert [*some] == [some[number] for number in range(len(some))] == [*expected]
    assert {name: name in some for name in names} == {name: name in expected for name in names}
    assert isinstance(members(some), Names)
    assert members(expected) == set(expected)
    keep = data.draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places)))
    assert isinstance(chosen(some, keep), Names)
    assert chosen(some, keep) == chosen(expected, keep)


@given(st.lists(TEXTS, unique=True, min_size=1), st.data())
def test_several_together_have_each_name_once(names: list[str], data: st.DataObject) -> None:
    several = data.draw(st.lists(st.lists(st.sampled_from(names), unique=True), min_size=1))
    table = NameTable(names)
    compact = [table.at([names.index(name) for name in one]) for one in several]
    expected = tuple(dict.fromkeys(name for one in several for name in one))
    assert isinstance(together(compact), Names)
    assert together(compact) == together(several) == together([*compact, *several]) == expected
    assert together([*compact, NameTable(names).at()]) == tuple(dict.fromkeys((*expected, *names)))


def test_names_behind_the_last_one_are_not_there() -> None:
    table = NameTable("ab")
    assert (table[-1], table.at()[-1]) == ("b", "b")
    for names in (table, table.at()):
        with pytest.raises(IndexError):
            names[2]
    assert table.at() != "ab"


def test_what_a_name_takes_besides_its_own_bytes() -> None:
    names = [f"train/class {number % 400}/{number:020d}.mp4" for number in range(20_000)]
    own = sum(len(name) for name in names)
    tracemalloc.start()
    try:
        table = NameTable(names)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == len(names)
    assert taken < 1.13 * own + 24 * len(names)
    assert len(pickle.dumps(table.at(), 5)) < own + 24 * len(names)
