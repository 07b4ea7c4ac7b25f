"""Every file is accounted for."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.listing import by_name, check_usable, find_files, find_spelled, is_harmless, name_key, name_left_out
from medvid.errors import DataError
from medvid.sentences import listed, shown_name


def touch(root: Path, *names: str) -> list[Path]:
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_files_below_a_folder_without_what_is_harmless(tmp_path: Path) -> None:
    files = touch(tmp_path, "a/x.nii", "a/y.nii.gz", "b/deep/z.nrrd", "b.csv")
    touch(tmp_path, ".git/config", "._a.nii", "README", "LICENSE.md", "dataset.json", "a/Thumbs.db", "__MACOSX/a.nii")
    files += touch(tmp_path, "readme_folder/z.nii", "x.json/z.nii")
    assert list(find_files(tmp_path)) == sorted(files)
    assert list(find_files(tmp_path, recursive=False)) == [tmp_path / "b.csv"]
    assert find_files(tmp_path / "absent") == ()


def test_linked_folders_are_listed_once_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "disk", "x.nii")
    root = tmp_path / "root"
    root.mkdir()
    (root / "images").symlink_to(tmp_path / "disk")
    (root / "same").symlink_to(tmp_path / "disk")
    (root / "loop").symlink_to(root)
    (root / "itself").symlink_to("itself")
    assert [path.relative_to(root).as_posix() for path in find_files(root)] == ["images/x.nii", "itself"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "closed/x.nii")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(DataError, match=r"closed cannot be read: Permission denied"):
        find_files(tmp_path)


def test_what_is_left_out_is_named_by_reason(tmp_path: Path) -> None:
    files = touch(tmp_path, "a.nii", "b.nii", *(f"c{n:02d}.nrrd" for n in range(12)), "d.zip")
    (tmp_path / "e.nii").symlink_to("a.nii")  # the same file as one that is used
    reasons = {".nrrd": "another format", ".zip": "not unpacked", ".nii": "not in the list"}
    lines = name_left_out(tmp_path, find_files(tmp_path), files[:1], lambda path: reasons[path.suffix])
    names = ", ".join(f"c{n:02d}.nrrd" for n in range(10))
    assert lines == (
        f"1 file in {tmp_path} left out, not in the list: b.nii",
        f"12 files in {tmp_path} left out, another format: {names} and 2 more",
        f"1 file in {tmp_path} left out, not unpacked: d.zip",
    )


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    (good,) = touch(tmp_path, "good.nii")
    (tmp_path / "broken.nii").symlink_to("nowhere")
    (tmp_path / "folder.nii").mkdir()
    os.mkfifo(tmp_path / "pipe.nii")
    check_usable(tmp_path, [good])
    names = ("good.nii", "broken.nii", "folder.nii", "pipe.nii", "absent.nii")
    with pytest.raises(DataError) as caught:
        check_usable(tmp_path, [tmp_path / name for name in names])
    for words in (
        "broken links: broken.nii",
        "folders: folder.nii",
        "not regular files: pipe.nii",
        "no such file or directory: absent.nii",
    ):
        assert words in str(caught.value)
    assert "good" not in str(caught.value)


@pytest.mark.parametrize("name", [b"caf\xe9.nii", b"two\nlines.nii"])
def test_names_that_cannot_be_printed_are_refused_and_shown_escaped(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.touch()
    with pytest.raises(DataError, match=r"not printable UTF-8: (caf\\udce9|two\\nlines)\.nii") as caught:
        check_usable(tmp_path, find_files(tmp_path))
    str(caught.value).encode()


@pytest.mark.parametrize("names", [("a.nii", "a.nii.gz"), ("Case.nii", "case.nii"), ("e\u0301.nii", "\u00e9.nii")])
def test_two_files_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    paths = [tmp_path / name for name in (*names, "other.nii")]
    with pytest.raises(DataError, match="images with the same name: ") as caught:
        by_name(((path.name.split(".")[0], path) for path in paths), "images", "rename one")
    assert all(str(path) in str(caught.value) for path in paths[:2])
    assert "other" not in str(caught.value)


def test_names_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "e\u0301.nii"
    assert by_name([("e\u0301", path)], "images", "") == {"\u00e9": path}


@pytest.mark.parametrize(("on_disk", "in_list"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_list_may_have_another_form_of_accents_than_the_disk(tmp_path: Path, on_disk: str, in_list: str) -> None:
    name = "M\u00fcller/p\u00e9.nii"
    (path,) = touch(tmp_path, unicodedata.normalize(on_disk, name))
    assert find_spelled(tmp_path / unicodedata.normalize(in_list, name)) == path
    assert find_spelled(tmp_path / "absent" / "x.nii") == tmp_path / "absent" / "x.nii"


@given(st.text(st.characters(codec=None), max_size=8))
def test_names_are_shown_as_they_are_where_that_can_be(name: str) -> None:
    shown = shown_name(name)
    shown.encode()
    assert shown == name or not name.isprintable()


@given(st.text(max_size=8))
def test_names_that_some_disks_do_not_tell_apart_have_one_key(name: str) -> None:
    for form in ("NFC", "NFD"):
        assert name_key(unicodedata.normalize(form, name)) == name_key(name)
    assert name_key(name_key(name)) == name_key(name)


def test_lists_are_capped() -> None:
    assert listed(["a"]) == "a"
    assert listed([str(n) for n in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


@pytest.mark.parametrize(
    ("name", "harmless"), [("x.JSON", True), ("ReadMe", True), ("x.csv", False), ("license.mp4", False), ("x", False)]
)
def test_what_is_harmless(name: str, harmless: bool) -> None:
    assert is_harmless(Path(name)) is harmless
