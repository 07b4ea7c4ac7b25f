"""Several labels in one column of a table, as people and programs write them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.config.examples import read_options
from medvid.data.tables.options import AnsweredOptions
from medvid.data.tables.several import labels_in
from medvid.errors import ConfigError, DataError
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import DatasetSpec

HOST = make_host()
NAMES = ("a.mp4", "b.mp4", "c.mp4")


def options(root: Path, *cells: str, **more: Any) -> AnsweredOptions:
    """Videos a, b, c with these cells in a column of labels."""
    for name in NAMES:
        (root / name).touch()
    lines = [f"{name}\t{cell}\n" for name, cell in zip(NAMES, cells, strict=True)]
    (root / "labels.csv").write_text("path\tfound\n" + "".join(lines))
    found = read_options(
        HOST, HOST.spec(DatasetSpec, "video_table"), {"root": str(root), "labels_column": "found", **more}
    )
    assert isinstance(found, AnsweredOptions)
    return found


def read(given: AnsweredOptions) -> tuple[tuple[str, ...], list[Any]]:
    index = given.index(lambda _: True)
    return given.target_info().names, [case.answer for case in index.cases.values()]


@pytest.mark.parametrize(
    ("cells", "more"),
    [
        (("run; jump", "jump", "run"), {}),
        (("run|jump", "jump", "run"), {}),
        (("jump,run,run", "jump", "run"), {}),
        (("run jump", "jump", "run"), {"labels_separator": " "}),
        (("run & jump", "jump", "run"), {"labels_separator": "&"}),
        (("['run', 'jump']", "['jump']", "[run]"), {}),
    ],
)
def test_labels_however_they_are_listed(tmp_path: Path, cells: tuple[str, ...], more: dict[str, str]) -> None:
    assert read(options(tmp_path, *cells, **more)) == (("jump", "run"), [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])


def test_numbers_are_ordered_by_size_and_names_that_are_given_stay(tmp_path: Path) -> None:
    names, answers = read(options(tmp_path, "10;9", "9", "10"))
    assert (names, answers[0]) == (("9", "10"), (1.0, 1.0))
    names, answers = read(options(tmp_path, "run", "jump", "run", classes=["run", "sit", "jump"]))
    assert (names, answers[1]) == (("run", "sit", "jump"), (0.0, 0.0, 1.0))


def test_an_empty_cell_is_unknown_unless_the_task_says_that_it_means_none(tmp_path: Path) -> None:
    unknown = options(tmp_path, "run", "", "run;jump")
    assert read(unknown)[1][1] == (UNKNOWN, UNKNOWN)
    assert unknown.target_info().has_unknown
    (note,) = unknown.index(lambda _: True).notes
    assert "1 of 3 cases have nothing in column found" in note
    assert "line 3" in note
    none = options(tmp_path, "run", "", "run;jump", blank="zeros")
    assert read(none)[1][1] == (0.0, 0.0)
    assert (none.target_info().has_unknown, none.index(lambda _: True).notes) == (False, ())


def test_labels_that_nobody_could_have_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"more than one of \| ; , stands in column found.*line 2.*line 4") as caught:
        read(options(tmp_path, "run; jump", "x", "a|b"))
    assert "labels_separator" in caught.value.hint
    with pytest.raises(DataError, match=r"labels\.csv:3: column found: rum is not one of the labels"):
        read(options(tmp_path, "run", "rum", "run", classes=["run"]))
    with pytest.raises(DataError, match="nothing stands in column found"):
        read(options(tmp_path, "", "", ""))
    with pytest.raises(ConfigError, match="one kind of answer"):
        options(tmp_path, "run", "run", "run", label_columns=["found"])
    with pytest.raises(ConfigError, match="labels_separator is of labels_column"):
        options(tmp_path, "run", "run", "run", labels_column=None, labels_separator=";")


@given(st.lists(st.text("abc é-", min_size=1).map(str.strip).filter(bool)), st.sampled_from("|;,"), st.booleans())
def test_what_is_joined_is_read_back(labels: list[str], mark: str, brackets: bool) -> None:
    joined = f"{mark} ".join(labels)
    assert labels_in(f"[{joined}]" if brackets else joined, mark) == tuple(labels)
