"""Files and folders that are whole or not there."""

import json
import math
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.errors import DataError, ResourceError
from medvid.files import (
    free_space,
    json_text,
    make_folder,
    read_json,
    remove_drafts,
    replace_file,
    replace_folder,
    replace_path,
    set_aside,
    write_json,
    write_text,
    writing,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_while_writing(path):
    with replace_file(path) as file:
        file.write(b"new")
        raise RuntimeError


def fail_while_writing_by_name(path):
    with replace_path(path) as draft:
        draft.write_text("ha")
        raise RuntimeError


def make(path, *, fail=False):
    with replace_folder(path) as draft:
        (draft / "x").write_text("1")
        if fail:
            raise RuntimeError


def fill_up(path):
    with writing(path), Path("/dev/full").open("w") as file:
        file.write("x" * 100_000)


def test_a_file_that_is_written_by_its_name_replaces_the_old_one_when_it_is_complete(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        fail_while_writing_by_name(path)
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.mp4"])
    with replace_path(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert (path.read_text(), names(tmp_path)) == ("new", ["a.mp4"])


def test_what_is_set_aside_is_a_draft_that_is_deleted_with_others(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert set_aside(tmp_path / "a" / "b", tmp_path).parent == tmp_path
    assert names(tmp_path / "a") == []
    set_aside(tmp_path / "gone")
    remove_drafts(tmp_path)
    assert names(tmp_path) == ["a"]


def test_written_file_replaces_the_old_one_and_leaves_no_draft(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert names(tmp_path) == ["a.json"]


def test_failure_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        fail_while_writing(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folder_appears_with_all_its_files_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError):
        make(tmp_path / "a", fail=True)
    assert names(tmp_path) == []
    make(tmp_path / "a")
    assert (tmp_path / "a" / "x").read_text() == "1"
    assert names(tmp_path) == ["a"]


def test_folder_does_not_replace_another(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileExistsError):
        make(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_full_disk_names_the_path_and_the_free_space():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(ResourceError, match=r"cannot write /some/where: no space left; .* MiB are free"):
        fill_up(Path("/some/where"))


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "missing" / "a"):
        pass


def test_free_space_of_what_is_not_there_yet(tmp_path):
    assert free_space(tmp_path / "a" / "b") > 0


def test_private_folder(tmp_path):
    make_folder(tmp_path / "a" / "b", 0o700)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[1]"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_empty(tmp_path):
    assert read_json(tmp_path / "a.json") == {}


def test_only_old_drafts_are_removed(tmp_path):
    old, new, other = (tmp_path / name for name in (".a-1.draft", ".b-2.draft", "c.draft"))
    old.mkdir()
    (old / "x").write_text("")
    new.write_text("")
    other.write_text("")
    os.utime(old, (time.time() - 100,) * 2)
    remove_drafts(tmp_path, age=50)
    assert names(tmp_path) == [".b-2.draft", "c.draft"]


VALUES = st.recursive(
    st.floats() | st.integers() | st.text() | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(VALUES)
def test_json_holds_finite_numbers_only(value):
    def compare(found, wanted):
        if isinstance(wanted, dict):
            assert found.keys() == wanted.keys()
            [compare(found[key], item) for key, item in wanted.items()]
        elif isinstance(wanted, list | tuple):
            [compare(*pair) for pair in zip(found, wanted, strict=True)]
        else:
            assert found == (None if isinstance(wanted, float) and not math.isfinite(wanted) else wanted)

    compare(json.loads(json_text(value), parse_constant=pytest.fail), value)
