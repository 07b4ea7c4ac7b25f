"""Lists whose lines have any number of labels, as mmaction2's; the files need not be videos here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.videos.columns import labels_of, split_several
from medvid.errors import DataError
from medvid_videos.config import VideosOptions
from medvid_videos.data import Videos


def videos(root: Path, train: str, val: str = "v.mp4 0\n", **more: object) -> Videos:
    for name in ("a.mp4", "b c.mp4", "d.mp4", "v.mp4"):
        (root / name).write_bytes(b"x")
    (root / "demo_train_list_videos.txt").write_text(train, encoding="utf-8")
    (root / "demo_val_list_videos.txt").write_text(val, encoding="utf-8")
    return Videos(VideosOptions.model_validate({"root": root, "multilabel": True, **more}))


def targets(data: Videos) -> dict[str, list[float]]:
    return {case: data.open_case(case).target.tolist() for case in (*data.cases("train"), *data.cases("validation"))}


def test_labels_of_a_line_become_ones(tmp_path: Path) -> None:
    data = videos(tmp_path, '\ufeffa.mp4 2 0 2\nb c.mp4 1\r\nd.mp4 ""\n')
    assert (data.target_info.what, data.target_info.names) == ("labels", ("class 0", "class 1", "class 2"))
    assert targets(data) == {"a.mp4": [1, 0, 1], "b c.mp4": [0, 1, 0], "d.mp4": [0, 0, 0], "v.mp4": [1, 0, 0]}
    assert not data.target_info.has_unknown


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("a.mp4 2 0", {}),
        ("a.mp4 2,0", {}),
        ('"a.mp4" "2,0"', {}),
        ("a.mp4;2;0", {}),
        ("a.mp4|2|0", {"separator": "|"}),
        ("a.mp4 run jump", {"classes": ["jump", "sit", "run"]}),
        ("a.mp4|run|jump", {"separator": "|", "classes": ["jump", "sit", "run"]}),
    ],
)
def test_labels_however_they_are_separated(tmp_path: Path, line: str, more: dict[str, object]) -> None:
    mark = str(more.get("separator", " "))
    data = videos(tmp_path, line + "\n", f"v.mp4{mark}0\nb c.mp4{mark}1\n", **more)
    assert targets(data)["a.mp4"] == [1, 0, 1]


def test_what_is_wrong_is_said_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _ = videos(tmp_path, "a.mp4 0 x\na.mp4 0\nb c.mp4 9\na.mp4 1 0\nd.mp4\n", classes=["p", "q"]).index
    assert [line.partition("txt:")[2] for line in str(caught.value).splitlines() if "train_list" in line] == [
        "5: no label in 'd.mp4'",
        "1: the label 'x' is not an integer or one of the 2 class names",
        "3: the label 9 is out of range, labels are 0 to 1",
        "4: a.mp4 has the label 1, 0, but another one in line 2",
    ]
    with pytest.raises(DataError, match=r"is a table with a header: the data set video_table reads these"):
        _ = videos(tmp_path, "id,path,labels\n0,a.mp4,1 2\n").index
    with pytest.raises(
        DataError, match=r"more than one label in 'a.mp4 0 1'; if clips have several, set dataset.multil"
    ):
        _ = videos(tmp_path, "a.mp4 0 1\n", multilabel=False).index
    with pytest.raises(DataError, match=r"a.mp4 is in both"):
        _ = videos(tmp_path, "a.mp4 0 1\n", "a.mp4 0 1\n").index


def test_labels_without_clips_are_said(tmp_path: Path) -> None:
    notes = videos(tmp_path, "a.mp4 0 2\n", "v.mp4 0 1\n", classes=["p", "q", "r", "s"]).index.notes
    assert any("1 of 4 labels have no clips: s" in note for note in notes)
    assert any("1 labels are held out but have no training clips: q" in note for note in notes)


def test_folders_of_classes_have_one_label(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="there are no lists") as caught:
        _ = Videos(VideosOptions.model_validate({"root": tmp_path, "multilabel": True, "classes": ["p", "q"]})).index
    assert "video_table" in caught.value.hint


@given(
    st.sampled_from(["a.mp4", "b c.AVI", "d, e.mkv"]), st.lists(st.integers(0, 200).map(str)), st.sampled_from(" ,;\t")
)
def test_what_is_written_is_read_back(path: str, labels: list[str], mark: str) -> None:
    file, label = split_several(f"{path}{mark}{mark.join(labels)}" if labels else f'{path}{mark}""', None)
    assert (file, list(labels_of(label)), bool(label)) == (path, labels, True)
