"""Tables of cases as people write them: each is read right, or refused in a sentence that names the line."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.config.examples import read_options
from medvid.data.groups import check_groups
from medvid.data.tables.index import AnsweredCase, hold_out_patients, patients_of
from medvid.data.tables.options import AnsweredOptions
from medvid.errors import ConfigError, DataError
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import DatasetSpec

HOST = make_host()
ROWS = 'a.png,1,yes,63.5\nb.png,0,,40\n"c, d.png",1,-1,\ne.png,0,no,51.5\n'
HEADER = "file,diagnosis,lesion,age\n"
CLASS, LESION, AGE = {"class_column": "diagnosis"}, {"label_columns": ["lesion"]}, {"value_columns": {"age": "years"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c, d.png", "e.png"):
        (tmp_path / name).touch()
    return tmp_path


def options(root: Path, table: str | bytes = HEADER + ROWS, **more: Any) -> AnsweredOptions:
    (root / "labels.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    found = read_options(HOST, HOST.spec(DatasetSpec, "images"), {"root": str(root), **more})
    assert isinstance(found, AnsweredOptions)
    return found


def answers(given: AnsweredOptions) -> dict[str, Any]:
    return {case.id: case.answer for case in given.index(lambda _: True).cases.values()}


LAYOUTS: Mapping[str, bytes] = {
    "plain": (HEADER + ROWS).encode(),
    "a byte-order mark and Windows' lines": b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode(),
    "old Macs' lines": (HEADER + ROWS).replace("\n", "\r").encode(),
    "tabs": (HEADER + ROWS).replace('"c, d.png"', "c; d.png").replace(",", "\t").replace("; ", ", ").encode(),
    "semicolons": (HEADER + ROWS).replace('"c, d.png"', "c| d.png").replace(",", ";").replace("|", ",").encode(),
    "blank lines, and commas at their ends": (HEADER + "\n" + ROWS.replace("\n", ",,\n") + ",,,\n").encode(),
    "an index without a name, as pandas writes it": "".join(
        f"{number},{line}\n" for number, line in zip(["", *"0123"], (HEADER + ROWS).splitlines(), strict=True)
    ).encode(),
}


@pytest.mark.parametrize("table", LAYOUTS.values(), ids=LAYOUTS)
def test_the_same_table_in_any_layout(root: Path, table: bytes) -> None:
    found = answers(options(root, table, label_columns=["Lesion"]))
    assert found == {"a.png": (1.0,), "b.png": (UNKNOWN,), "c, d.png": (UNKNOWN,), "e.png": (0.0,)}


def test_each_kind_of_answer_has_its_target(root: Path) -> None:
    classes = options(root, class_column="diagnosis").target_info()
    assert (classes.what, classes.names, classes.has_unknown) == ("class", ("0", "1"), False)
    findings = options(root, label_columns=["lesion"], uncertain="ones", blank="zeros")
    assert answers(findings)["c, d.png"] == (1.0,)
    assert (findings.target_info().what, findings.target_info().has_unknown) == ("labels", False)
    everyone = {"train": ["a.png", "b.png", "c, d.png"], "validation": ["e.png"]}
    values = options(root, value_columns={"age": "years"}, split=everyone).filled()
    assert values.target_info().units == ("years",)
    assert values.target_info().means == pytest.approx((51.75,))  # of the training cases that are known
    assert values.target_info().deviations == pytest.approx((11.75,))
    assert values.target_info().has_unknown
    (root / "labels.csv").unlink()
    assert values.target_info().names == ("age",)  # what was filled in needs no table


@pytest.mark.parametrize(
    ("table", "more", "said"),
    [
        (
            HEADER + ROWS.replace("63.5", "old"),
            AGE,
            "labels.csv:2: column age: 'old' is not a number",
        ),
        (HEADER + ROWS.replace("63.5", '"63,5"'), AGE, "write decimals with a point"),
        (
            HEADER + ROWS.replace("63.5", "inf"),
            AGE,
            "labels.csv:2: column age: 'inf' is not finite",
        ),
        (
            HEADER + ROWS.replace("yes", "2"),
            LESION,
            "labels.csv:2: column lesion: '2' is not a finding",
        ),
        (HEADER + ROWS, {"label_columns": ["lesoin"]}, "has no column 'lesoin'; did you mean 'lesion'?; it has file"),
        (HEADER + ROWS + "f.png,1,yes,3\n", CLASS, "labels.csv:6: .*f.png does not exist"),
        (
            HEADER + ROWS + "a.png,1,yes,3\n",
            CLASS,
            "labels.csv:6: a.png is named in line 2 already",
        ),
        (HEADER + ROWS + "x,y.png,1,yes,3\n", CLASS, "labels.csv:6: 5 cells, the header has 4"),
        (HEADER.replace("age", "file") + ROWS, CLASS, "columns are named twice: file"),
        (
            "file,diagnosis,lesion\na.png,1,\nb.png,0,\n",
            LESION,
            "nothing stands in column lesion",
        ),
        ("file,diagnosis\n", CLASS, "no lines below a header"),
        (HEADER + ROWS, {"class_column": "diagnosis", "classes": ["0", "2"]}, "'1' is not one of the classes"),
        ("diagnosis,lesion\n1,0\n", CLASS, "no column of paths by a usual name"),
        ("name,file,path\n1,a.png,b.png\n", {"class_column": "name"}, "has the columns file, path"),
        ((HEADER + ROWS).encode("utf-16"), CLASS, "is UTF-16"),
        ((HEADER + "é.png,1,1,1").encode("latin-1"), CLASS, "labels.csv:2: not UTF-8"),
        (
            "file,diagnosis,split\na.png,1,train\nb.png,0,hold\n",
            {},
            "labels.csv:3: column split: 'hold' is not a split",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(root: Path, table: str | bytes, more: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        options(root, table, **more).filled()
    assert re.search(said if ".*" in said else re.escape(said), str(caught.value)), str(caught.value)
    assert caught.value.hint


def test_one_kind_of_answer_at_a_time(root: Path) -> None:
    with pytest.raises(ConfigError, match="class_column and value_columns are set, but one kind"):
        options(root, class_column="diagnosis", value_columns={"age": "years"})


def test_a_patient_on_both_sides_is_named(root: Path) -> None:
    table = "file,class,subject,split\na.png,x,p1,train\nb.png,y,p2,train\ne.png,x,p1,val\n"
    given = options(root, table)
    with pytest.raises(DataError, match=r"others held out: p1 \(a.png, e.png\)"):
        given.splits_of(given.index(lambda _: True))
    pattern = options(root, table.replace("subject", "of"), patient_pattern="^([ab])")
    with pytest.raises(DataError, match=r"finds no patient in 1 names: e.png"):
        pattern.index(lambda _: True)


@given(
    owners=st.lists(st.integers(0, 5), min_size=2, max_size=30), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 9)
)
def test_patients_are_held_out_whole(owners: list[int], fraction: float, seed: int) -> None:
    cases = {
        str(number): AnsweredCase(str(number), Path(), owner % 2, f"p{owner}") for number, owner in enumerate(owners)
    }
    if len(set(owners)) < 2:
        return
    splits = hold_out_patients(cases, tuple(cases), fraction, seed)
    check_groups(patients_of(cases), splits)
    assert sorted(splits["train"] + splits["validation"], key=int) == list(cases)


def test_a_folder_per_class(tmp_path: Path) -> None:
    for name in ("train/sick/a.png", "train/sick/p/b.png", "train/well/a.png", "val/well/c.png", "val/sick/notes.xyz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    given = read_options(HOST, HOST.spec(DatasetSpec, "images"), {"root": str(tmp_path)})
    assert isinstance(given, AnsweredOptions)
    assert given.target_info().names == ("sick", "well")
    index = given.index(lambda path: path.suffix == ".png")
    assert {case.id: case.answer for case in index.cases.values()} == {
        "train/sick/a.png": 0, "train/sick/p/b.png": 0, "train/well/a.png": 1, "val/well/c.png": 1,
    }  # fmt: skip
    assert {split: len(ids) for split, ids in index.splits.items()} == {"train": 3, "validation": 1}
    assert "notes.xyz" in index.notes[0]
    asked = {"root": str(tmp_path), "label_columns": ["x"]}
    with pytest.raises(DataError, match=r"label_columns is set, but there is no labels.csv"):
        read_options(HOST, HOST.spec(DatasetSpec, "images"), asked).target_info()  # type: ignore[attr-defined]
