"""Clips in lists and folders. The files need not be videos here."""

import os
from pathlib import Path

import pytest

from medvid.data.videos.index import find_class_names, find_clips_in_folders, find_videos, left_out_of
from medvid.data.videos.labels import find_labels, read_labels
from medvid.data.videos.lists import ListFormat, find_lists, read_lists
from medvid.errors import DataError
from medvid_videos.config import VideosOptions


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


PLAIN = ListFormat()


def read(root: Path, form: ListFormat = PLAIN, names: tuple[str, ...] | None = None, **lists: str):
    for split, text in lists.items():
        (root / f"{split}.csv").write_text(text)
    return read_lists(root, find_lists(root), form, names)


def labels_of(index) -> dict[str, int | None]:
    return {case: clip.label for case, clip in index.clips.items()}


def test_paths_of_lists_may_hold_spaces_and_commas(tmp_path) -> None:
    text = 'a b/c d.mp4 3\nb, c.mp4,0\n\n  d.mp4\t1  \r\n"e, f.mp4",2\n/far/away/g h.mp4 2'
    index = read(tmp_path, train=text, val="v.mp4 0\n")
    assert labels_of(index) == {
        "a b/c d.mp4": 3,
        "b, c.mp4": 0,
        "d.mp4": 1,
        "e, f.mp4": 2,
        "far/away/g h.mp4": 2,
        "v.mp4": 0,
    }
    assert index.clips["a b/c d.mp4"].path == str(tmp_path / "a b" / "c d.mp4")
    assert index.clips["far/away/g h.mp4"].path == "/far/away/g h.mp4"
    assert index.splits == {"train": tuple(index.clips)[:5], "validation": ("v.mp4",)}
    assert index.labels == ("class 0", "class 1", "class 2", "class 3")
    assert index.notes == ()


def test_a_separator_can_be_named(tmp_path) -> None:
    index = read(tmp_path, ListFormat(separator=";"), train="a 1.mp4;1\nb,2.mp4 ; 0\n")
    assert labels_of(index) == {"a 1.mp4": 1, "b,2.mp4": 0}


def test_absolute_paths_in_the_folder_are_called_by_their_place_in_it(tmp_path) -> None:
    index = read(tmp_path, train=f"{tmp_path}/x/a.mp4 0\n./x//b.mp4 0")
    assert list(index.clips) == ["x/a.mp4", "x/b.mp4"]


def test_the_prefix_is_named_or_found_out(tmp_path) -> None:
    touch(tmp_path / "root", "videos_train/c/a.mp4", "videos_val/c/b.mp4")
    lists = {"kinetics400_train_list_videos.txt": "c/a.mp4 0", "kinetics400_val_list_videos.txt": "c/b.mp4 0"}
    for name, text in lists.items():
        (tmp_path / "root" / name).write_text(text)
    index = read(tmp_path / "root")
    assert list(index.clips) == ["videos_train/c/a.mp4", "videos_val/c/b.mp4"]
    named = read(tmp_path / "root", ListFormat(prefix=Path("/data/k400")))
    assert [clip.path for clip in named.clips.values()] == ["/data/k400/c/a.mp4", "/data/k400/c/b.mp4"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path) -> None:
    train = "a.mp4 0\nb c.mp4\nd.mp4 x\ne.mp4 -1\nf.mp4 1.5\na.mp4 0\na.mp4 1\n../../etc/passwd 0\nx/../../y.mp4 0\n"
    with pytest.raises(DataError) as caught:
        read(tmp_path, train=train, val="v.mp4 1\na.mp4 0")
    message = str(caught.value)
    assert message.splitlines() == [
        f"8 problems in the lists of {tmp_path}:",
        "  train.csv:2: no label in 'b c.mp4'",
        "  train.csv:3: the label 'x' is not an integer",
        "  train.csv:4: the label -1 is out of range, labels are 0, 1, 2, ...",
        "  train.csv:5: the label '1.5' is not an integer",
        "  train.csv:7: a.mp4 has the label 1, but another one in line 1",
        f"  train.csv:8: the path ../../etc/passwd leads out of {tmp_path}",
        f"  train.csv:9: the path x/../../y.mp4 leads out of {tmp_path}",
        "  a.mp4 is in both train.csv and val.csv: trained on and held out",
    ]
    assert "an integer from 0" in caught.value.hint


def test_many_problems_are_counted(tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, names=("one", "two"), train="".join(f"{number}.mp4 2\n" for number in range(2500)))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"2500 problems in the lists of {tmp_path}:"
    assert lines[1] == "  train.csv:1: the label 2 is out of range, labels are 0 to 1"
    assert (len(lines), lines[-1]) == (12, "  and 2490 more")


def test_repeated_lines_are_left_out_and_counted(tmp_path) -> None:
    index = read(tmp_path, train="a.mp4 0\nb.mp4 1\na.mp4 0\n./a.mp4 0\n")
    assert list(index.clips) == ["a.mp4", "b.mp4"]
    assert index.notes == ("train.csv: 2 duplicate lines are ignored: line 3, line 4",)


def test_classes_without_clips_are_named(tmp_path) -> None:
    index = read(tmp_path, train="a.mp4 1\nb.mp4 3\n", val="c.mp4 4")
    assert index.notes == (
        "2 of 5 classes have no clips: class 0, class 2",
        "1 classes are held out but have no training clips: class 4",
        "no clip has the label 0: labels count from 0",
    )


def test_an_empty_list_beside_another(tmp_path) -> None:
    with pytest.raises(DataError, match=r"1 problems in .*:\n  train\.csv: lists no clips"):
        read(tmp_path, train="path label\n\n", val="c.mp4 0")


def test_validation_and_test_may_be_the_same_list(tmp_path) -> None:
    index = read(tmp_path, train="a.mp4 0", val="b.mp4 1", test="b.mp4 1")
    assert index.splits == {"train": ("a.mp4",), "validation": ("b.mp4",), "test": ("b.mp4",)}


def test_several_labels_in_a_line_are_refused(tmp_path) -> None:
    for form, train in (
        (PLAIN, "a.mp4 1 2\nb c.mp4,0,3\n"),
        (ListFormat(named=True), "a.mp4 run jump\nb c.mp4,run,jump\n"),
    ):
        with pytest.raises(DataError) as caught:
            read(tmp_path, form, train=train)
        assert [line for line in str(caught.value).splitlines() if "train.csv" in line] == [
            f"  train.csv:{number}: more than one label in {line!r}; "
            "if clips have several, set dataset.multilabel: true"
            for number, line in enumerate(train.splitlines(), start=1)
        ]


@pytest.mark.parametrize(
    "train",
    [
        ",path,label\n0,a b.mp4,1\n1,c.mp4,0\n",
        "label,path\n1,a b.mp4\n0,c.mp4\n",
        'label;split;"path"\n1;x;a b.mp4\n0;x;"c.mp4"\n',
        "id\tvideo\tclass\n7\ta b.mp4\t1\n3\tc.mp4\t0\n",
        "0,a b.mp4,1\n1,c.mp4,0\n",
        "1,a b.mp4,1\n2,c.mp4,0\n",
    ],
)
def test_tables_of_other_columns(tmp_path, train) -> None:
    assert labels_of(read(tmp_path, train=train)) == {"a b.mp4": 1, "c.mp4": 0}


def test_quoted_commas_in_names_of_classes(tmp_path) -> None:
    train = 'path,label\na.mp4,"sit, down"\n"b, c.mp4","stand ""up"""\n"d.mp4" run\n'
    index = read(tmp_path, ListFormat(named=True), train=train)
    assert {case: index.labels[clip.label] for case, clip in index.clips.items()} == {
        "a.mp4": "sit, down",
        "b, c.mp4": 'stand "up"',
        "d.mp4": "run",
    }


def test_spellings_of_a_class_in_lists_are_refused(tmp_path) -> None:
    train = "a.mp4,Cough\nb.mp4,cough\nc.mp4,no_cough\nd.mp4,no cough\ne.mp4,café\nf.mp4,cafe\u0301\n"
    with pytest.raises(DataError, match="3 problems") as caught:
        read(tmp_path, ListFormat(named=True), train=train)
    assert "the classes 'Cough' and 'cough' are spellings of the same name" in str(caught.value)


def test_a_test_list_without_labels_is_noted(tmp_path) -> None:
    index = read(tmp_path, train="a.mp4 1\nb.mp4 0", test='c d.mp4\n"e, f.mp4"\n')
    assert labels_of(index) == {"a.mp4": 1, "b.mp4": 0, "c d.mp4": None, "e, f.mp4": None}
    assert index.notes == ("test.csv has no labels: nothing can be scored on it",)
    assert index.labels == ("class 0", "class 1")
    with pytest.raises(DataError, match=r"test\.csv:1: no label"):
        read(tmp_path, train="a.mp4 1\nb.mp4 0", test="c d.mp4\ne.mp4 1\n")
    with pytest.raises(DataError, match=r"train\.csv:1: no label"):
        read(tmp_path, train="a.mp4\n", test="c.mp4\n")


def test_videos_beside_those_of_the_lists_are_named(tmp_path) -> None:
    touch(tmp_path, "c/a.mp4", "c/b.mp4", "c/new.mp4", "c/notes.txt", "else/d.mp4")
    index = read(tmp_path, train="c/a.mp4 0\nc/b.mp4 1\n")
    assert index.notes == (f"1 file in {tmp_path} left out, not in any list: c/new.mp4",)


def test_paths_whose_accents_have_another_form_on_disk(tmp_path) -> None:
    touch(tmp_path, "cafe\u0301/a.mp4")
    index = read(tmp_path, train="caf\u00e9/a.mp4 0\ncafe\u0301/a.mp4 0\n")
    assert [clip.path for clip in index.clips.values()] == [str(tmp_path / "cafe\u0301" / "a.mp4")]


def test_labels_by_name(tmp_path) -> None:
    named = ListFormat(named=True)
    index = read(tmp_path, named, train="path,label\na b.mp4,no cough\nc.mp4,cough\nd.mp4 cough\n")
    assert index.labels == ("cough", "no cough")
    assert labels_of(index) == {"a b.mp4": 1, "c.mp4": 0, "d.mp4": 0}
    with pytest.raises(DataError, match="the label 'cough' is not an integer"):
        read(tmp_path, named, train="a.mp4 0\nb.mp4 cough\n")
    known = read(tmp_path, ListFormat(), ("Brush hair", "cartwheel"), train="a.mp4 1\nb.mp4,brush_hair\n")
    assert labels_of(known) == {"a.mp4": 1, "b.mp4": 0}
    with pytest.raises(DataError, match="the label 'jump' is not an integer or one of the 2 class names"):
        read(tmp_path, ListFormat(), ("brush hair", "cartwheel"), train="a.mp4,jump\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00a", "is not UTF-8 text"),
        (b"", "lists no clips"),
        (b"label,youtube_id,time_start,time_end,split\nabseiling,x,1,11,train\n", "is a list of videos to download"),
    ],
)
def test_files_that_are_no_lists(tmp_path, content, reason) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read(tmp_path)


def test_a_list_is_read_again_when_it_changes(tmp_path) -> None:
    assert len(read(tmp_path, train="a.mp4 0").clips) == 1
    assert len(read(tmp_path, train="a.mp4 0\nb.mp4 0").clips) == 2


def test_two_lists_of_one_split(tmp_path) -> None:
    touch(tmp_path, "train.csv", "train.txt")
    with pytest.raises(DataError, match=r"could be the train list: train\.csv, train\.txt"):
        find_lists(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        find_lists(tmp_path / "gone")


def test_folders_of_classes_in_folders_of_splits(tmp_path) -> None:
    touch(tmp_path, "train/jump/a.mp4", "train/jump/day 2/b.WEBM", "train/run/c.avi", "val/run/d.mp4", "test/run/e.mov")
    touch(tmp_path, "train/jump/.hidden.mp4", "train/jump/notes.txt", "train/.cache/x.mp4", "readme/x.txt")
    index = find_clips_in_folders(tmp_path)
    assert index.labels == ("jump", "run") == find_class_names(tmp_path)
    assert labels_of(index) == {
        "test/run/e.mov": 1,
        "train/jump/a.mp4": 0,
        "train/jump/day 2/b.WEBM": 0,
        "train/run/c.avi": 1,
        "val/run/d.mp4": 1,
    }
    assert {split: len(ids) for split, ids in index.splits.items()} == {"train": 3, "validation": 1, "test": 1}
    assert index.notes == ()


def test_folders_of_classes_without_splits(tmp_path) -> None:
    touch(tmp_path, "b/1.mp4", "a/1.mp4")
    index = find_clips_in_folders(tmp_path)
    assert (index.labels, index.splits) == (("a", "b"), {})
    assert labels_of(index) == {"a/1.mp4": 0, "b/1.mp4": 1}


def test_names_of_a_file_give_the_ids_of_folders(tmp_path) -> None:
    touch(tmp_path, "train/riding_a_bike/1.mp4", "val/abseiling/2.mp4")
    index = find_clips_in_folders(tmp_path, ["riding a bike", "abseiling", "yoga"])
    assert labels_of(index) == {"train/riding_a_bike/1.mp4": 0, "val/abseiling/2.mp4": 1}
    assert index.notes == (
        "1 of 3 classes have no clips: yoga",
        "1 classes are held out but have no training clips: abseiling",
    )
    with pytest.raises(DataError, match=r"1 folders in .* are not among the 2 class names: train/riding_a_bike"):
        find_clips_in_folders(tmp_path, ["abseiling", "yoga"])


def test_a_folder_without_videos_is_no_class_unless_it_is_named(tmp_path) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4", "annotations/readme.txt", "__MACOSX/._1.mp4")
    index = find_clips_in_folders(tmp_path)
    assert index.labels == ("a", "b") == find_class_names(tmp_path)
    assert labels_of(index) == {"a/1.mp4": 0, "b/2.mp4": 1}
    assert index.notes == ("2 folders without videos do not count as classes: __MACOSX, annotations",)
    named = find_clips_in_folders(tmp_path, ["annotations", "a", "b"])
    assert labels_of(named) == {"a/1.mp4": 1, "b/2.mp4": 2}
    assert named.notes == (
        "1 folders without videos do not count as classes: __MACOSX",
        "1 of 3 classes have no clips: annotations",
    )


def test_two_spellings_of_a_class(tmp_path) -> None:
    touch(tmp_path, "train/up/1.mp4", "train/Up/2.mp4", "train/down/3.mp4")
    for read_folders in (find_class_names, find_clips_in_folders):
        with pytest.raises(DataError, match=r"the classes 'Up' and 'up' in .* are spellings of the same name"):
            read_folders(tmp_path)
    assert set(labels_of(find_clips_in_folders(tmp_path, ["up", "down"])).values()) == {0, 1}


def test_folders_without_videos(tmp_path) -> None:
    with pytest.raises(DataError, match=r"neither lists .* nor folders of classes"):
        find_clips_in_folders(tmp_path)
    touch(tmp_path, "train/a/x.txt")
    with pytest.raises(DataError, match="there are no videos"):
        find_clips_in_folders(tmp_path)
    touch(tmp_path, "videos_train/a/x.mp4")
    with pytest.raises(DataError, match=r"train and videos_train in .* could both be the train split"):
        find_clips_in_folders(tmp_path)


def test_a_class_called_like_a_split(tmp_path) -> None:
    touch(tmp_path, "train/steam/1.mp4", "car/2.mp4", "bus/3.mp4")
    with pytest.raises(
        DataError, match=r"train in .* could be the training split or a class, since bus, car beside it"
    ):
        find_clips_in_folders(tmp_path)
    touch(tmp_path, "val/steam/4.mp4")  # now train is a split
    index = find_clips_in_folders(tmp_path)
    assert list(index.clips) == ["train/steam/1.mp4", "val/steam/4.mp4"]
    assert index.notes[0] == (
        f"2 files in {tmp_path} left out, not in the folder of a class of a split: bus/3.mp4, car/2.mp4"
    )


@pytest.mark.parametrize("name", ["train", "training", "Test", "val"])
def test_a_class_called_like_a_split_that_holds_videos(tmp_path, name) -> None:
    touch(tmp_path, f"{name}/1.mp4", "car/2.mp4")
    index = find_clips_in_folders(tmp_path)
    assert index.labels == tuple(sorted([name, "car"]))
    assert (len(index.clips), index.splits) == (2, {})


def test_every_file_in_the_folders_is_accounted_for(tmp_path) -> None:
    kinds = ["a.MTS", "b.m2ts", "c.ogv", "d.divx", "e.gif", "f.F4V", "g.vob", "h.asf"]
    touch(tmp_path, *(f"x/{name}" for name in kinds), "y/1.mp4", "y/frame.png", "y/2.mxf", "y/notes.txt", "loose.mp4")
    index = find_clips_in_folders(tmp_path)
    assert list(index.clips) == [*(f"x/{name}" for name in kinds), "y/1.mp4"]
    assert index.notes == (
        f"1 file in {tmp_path} left out, not in the folder of a class of a split: loose.mp4",
        f"2 files in {tmp_path} left out, not videos: y/2.mxf, y/frame.png",
    )


def test_names_in_two_forms_of_accents(tmp_path) -> None:
    touch(tmp_path, "Café/1.mp4", "b/2.mp4")
    assert find_clips_in_folders(tmp_path).labels == ("Café", "b")
    touch(tmp_path, "Cafe\u0301/3.mp4")
    with pytest.raises(DataError, match="are spellings of the same name"):
        find_clips_in_folders(tmp_path)


def test_names_that_are_not_utf8_are_named(tmp_path) -> None:
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a" / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    for read_all in (find_clips_in_folders, lambda root: find_videos([root / "a"])):
        with pytest.raises(DataError, match=r"not printable UTF-8: .*caf\\udce9\.mp4") as caught:
            read_all(tmp_path)
        str(caught.value).encode()
    (tmp_path / "a" / os.fsdecode(b"caf\xe9.mp4")).rename(tmp_path / os.fsdecode(b"\xe9"))
    (tmp_path / os.fsdecode(b"\xe9")).unlink()
    (tmp_path / os.fsdecode(b"\xe9")).mkdir()
    touch(tmp_path, os.fsdecode(b"\xe9/1.mp4"))
    with pytest.raises(DataError, match=r"the class \\udce9 in .* is not printable UTF-8"):
        find_clips_in_folders(tmp_path)


def test_pipes_under_the_name_of_a_list_are_not_opened(tmp_path) -> None:
    for name in ("train.csv", "labels.txt"):
        os.mkfifo(tmp_path / name)
    assert (find_lists(tmp_path), find_labels(tmp_path)) == ({}, None)
    with pytest.raises(DataError, match=r"train\.csv is not a file"):
        read_lists(tmp_path, {"train": tmp_path / "train.csv"}, PLAIN)


def test_videos_for_prediction(tmp_path) -> None:
    touch(tmp_path, "in/a/1.mp4", "in/2.webm", "in/x.txt", "else/3.mp4", "else/2.webm")
    found = find_videos([tmp_path / "in" / "2.webm", tmp_path / "in", tmp_path / "else" / "3.mp4"])
    assert list(found) == ["2.webm", "a/1.mp4", "3.mp4"]
    assert found["a/1.mp4"].path == str(tmp_path / "in" / "a" / "1.mp4")
    for paths, reason in (
        (["in", "else"], "two videos are called 2.webm"),
        (["in/x.txt"], r"is not a video; these are .*\.mp4, .*\.avi, .*\.gif"),
        (["gone.mp4"], "does not exist"),
    ):
        with pytest.raises(DataError, match=reason):
            find_videos([tmp_path / path for path in paths])
    touch(tmp_path, "in/b/frame.png")
    assert left_out_of([tmp_path / "in"]) == [f"1 file in {tmp_path / 'in'} left out, not videos: b/frame.png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "jump\nrun\nsit, down\n"),
        ("labels.txt", "0 jump\n2 sit, down\n1 run\n"),
        ("labels.csv", 'id,name\n0,jump\n1,run\n2,"sit, down"\n'),
        ("labels.csv", 'run,1\n"sit, down",2\njump,0\n'),
        ("labels.json", '["jump", "run", "sit, down"]'),
        ("labels.json", '{"run": "1", "jump": "0", "sit, down": "2"}'),
        ("labels.json", '{"\\"sit, down\\"": 2, "jump": 0, "run": 1}'),
        ("labels.json", '{"2": "sit, down", "0": "jump", "1": "run"}'),
        ("classInd.txt", "1 jump\r\n2 run\r\n3 sit, down\r\n"),
        ("labels.csv", 'id,name\n3,"sit, down"\n1,jump\n2,run\n'),
    ],
)
def test_files_of_class_names(tmp_path, name, text) -> None:
    (tmp_path / name).write_text(text)
    assert read_labels(tmp_path / name) == ("jump", "run", "sit, down")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("labels.csv", "0,jump\n2,run\n", "the ids of its 2 names are not 0 to 1"),
        ("labels.csv", "jump,run\nsit,stand\n", "no column consists of integers"),
        ("labels.csv", "0,jump\n1\n", "row 2 does not have the two cells"),
        ("labels.txt", "jump\nrun\njump\n", "1 names appear twice or in two spellings: jump"),
        ("labels.json", '{"jump": "a"}', "names have no integer ids"),
        ("labels.json", "{", "Expecting"),
        ("labels.txt", "", "the ids of its 0 names"),
    ],
)
def test_unusable_files_of_class_names(tmp_path, name, text, reason) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_labels(tmp_path / name)
    assert name in str(caught.value)


def test_files_of_class_names_are_found(tmp_path) -> None:
    assert find_labels(tmp_path) is None
    touch(tmp_path, "labels.txt")
    assert find_labels(tmp_path) == tmp_path / "labels.txt"
    touch(tmp_path, "kinetics_400_labels.csv")
    assert find_labels(tmp_path) == tmp_path / "kinetics_400_labels.csv"
    with pytest.raises(DataError, match="does not exist"):
        read_labels(tmp_path / "gone.txt")


def test_lists_of_ucf101(tmp_path) -> None:
    """Labels count from 1, and the lists of the test have none: the folders say the class."""
    (tmp_path / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n2 YoYo\r\n")
    (tmp_path / "trainlist01.txt").write_text("ApplyEyeMakeup/a.avi 1\r\nYoYo/b.avi 2\r\n")
    (tmp_path / "testlist01.txt").write_text("YoYo/c.avi\r\nApplyEyeMakeup/d.avi\r\n")
    for classes in (None, ("ApplyEyeMakeup", "YoYo")):  # as in the task file, and as a run remembers it
        options = VideosOptions(root=tmp_path, classes=classes)
        index = options.index()
        assert options.label_names() == index.labels == ("ApplyEyeMakeup", "YoYo")
        assert [clip.label for clip in index.clips.values()] == [0, 1, 1, 0]
        assert index.splits["test"] == ("YoYo/c.avi", "ApplyEyeMakeup/d.avi")
        assert index.notes == ("testlist01.txt has no labels: they are taken from the folders in its paths",)
    (tmp_path / "trainlist01.txt").write_text("ApplyEyeMakeup/a.avi 0\nYoYo/b.avi 1\nYoYo/e.avi 3")
    with pytest.raises(
        DataError, match=r"2 problems .*\n.*:1: the label 0 is out of range, labels are 1 to 2\n.*label 3"
    ):
        options.index()


def test_several_official_lists_are_not_passed_over(tmp_path) -> None:
    touch(tmp_path, "ucf101_train_split_1_videos.txt")
    assert list(find_lists(tmp_path)) == ["train"]
    touch(tmp_path, "trainlist02.txt")
    with pytest.raises(DataError, match=r"several lists .* train list: trainlist02\.txt, ucf101_train_split_1"):
        find_lists(tmp_path)


def test_the_lists_of_hmdb51_hold_no_classes(tmp_path) -> None:
    path = tmp_path / "cartwheel_test_split1.txt"
    path.write_text("a.avi 1 \nb.avi 2 \nc.avi 0 \n")
    with pytest.raises(DataError, match=r"is a list of HMDB51: .* not the class"):
        read_lists(tmp_path, {"all": path}, PLAIN)


@pytest.mark.parametrize(
    "train",
    [
        "path,label,split\na.mp4,0,train\nb.mp4,1,val\n",
        "path,label,fold\na.mp4,0,0\nb.mp4,1,1\n",
        "clip,tag,subset\na.mp4,1,test\n",
    ],
)
def test_a_column_of_splits_is_not_passed_over(tmp_path, train) -> None:
    with pytest.raises(DataError, match=r"train\.csv: its split column .*: write a list for each split"):
        read(tmp_path, ListFormat(named=True), train=train)
    index = read(tmp_path, train="split,path,label\ntrain,a.mp4,0\ntrain,b.mp4,1\n")
    assert labels_of(index) == {"a.mp4": 0, "b.mp4": 1}


def test_the_folder_around_those_of_the_classes_is_not_the_only_class(tmp_path) -> None:
    touch(tmp_path, "UCF-101/YoYo/a.avi", "UCF-101/Archery/b/c.avi", "lists/classInd.txt")
    with pytest.raises(DataError, match=r"UCF-101 would be the only class .*: Archery, YoYo") as caught:
        find_clips_in_folders(tmp_path)
    assert f"set dataset.root to {tmp_path}/UCF-101" in caught.value.hint
    assert find_class_names(tmp_path / "UCF-101") == ("Archery", "YoYo")


def test_a_single_class_is_told(tmp_path) -> None:
    touch(tmp_path, "cats/a.avi", "cats/b.avi")
    assert "only one class, cats" in find_clips_in_folders(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("k400/train/a/1.mp4", "k400/val/a/2.mp4", "k600/train/b/1.mp4"), "k400 in .* holds a folder for training"),
        (("cat/train/1.mp4", "cat/test/2.mp4", "dog/train/3.mp4"), "cat in .* holds a folder for training"),
        (("trainval/a/1.mp4", "test/a/2.mp4"), "test in .* could be splits or classes"),
        (("val/a/1.mp4", "test/b/2.mp4"), "test, val in .* could be splits or classes"),
    ],
)
def test_splits_in_other_places_are_not_taken_for_classes(tmp_path, files, reason) -> None:
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=reason):
        find_clips_in_folders(tmp_path)
