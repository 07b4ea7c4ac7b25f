"""Charades in both forms of its lists, and the generated videos in its layout."""

import csv
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medvid.data.videos.decoders import open_video
from medvid.errors import DataError
from medvid.plugin.specs import load_attribute
from medvid_charades.annotations import AnnotatedVideo, actions_in
from medvid_charades.config import CharadesOptions, ScenesOptions
from medvid_charades.data import Charades
from medvid_charades.frame_lists import read_frame_list
from medvid_charades.plugin import medvid_components
from medvid_charades.scenes import DIRECTIONS, generate

SMALL = {"frames": 4, "rate": 2, "size": 32, "short_side": [32, 32], "augment": []}
HEADER = "original_vido_id video_id frame_id path labels\n"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("scenes") / "charades"
    generate(folder, ScenesOptions(train=8, test=4, size=(40, 40), seconds=(1.0, 1.4)))
    return folder


def charades(root: Path, **options: object) -> Charades:
    return Charades(CharadesOptions.model_validate({"root": root, **SMALL, **options}))


def test_the_specs_resolve() -> None:
    dataset, protocol = medvid_components()
    assert (load_attribute(dataset.target), load_attribute(dataset.config)) == (Charades, CharadesOptions)
    assert (dataset.name, protocol.name) == ("charades", "charades")


def test_the_demo_is_laid_out_as_charades(scenes: Path, tmp_path: Path) -> None:
    data = charades(scenes)
    assert data.target_info.names == tuple(f"c{number:03d} {name}" for number, name in enumerate(DIRECTIONS))
    assert (data.target_info.what, data.target_info.has_unknown) == ("labels", False)
    assert (len(data.cases("train")), len(data.cases("validation"))) == (8, 4)
    case = pickle.loads(pickle.dumps(data)).open_case("T0001")
    assert (case.patient, case.views(2, 1, "spread").shape) == ("TEST000", (2, 3, 4, 32, 32))
    generate(tmp_path / "again", ScenesOptions(train=8, test=4, size=(40, 40), seconds=(1.0, 1.4)))
    for name in ("Charades_v1_train.csv", "Charades_v1_480/A0003.mp4"):
        assert (tmp_path / "again" / name).read_bytes() == (scenes / name).read_bytes()


def test_a_frame_shows_none_of_the_actions_but_the_change_between_frames_does(scenes: Path) -> None:
    """Objects move at just the times that the table says."""
    with (scenes / "Charades_v1_train.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        with open_video(scenes / "Charades_v1_480" / f"{row['id']}.mp4") as video:
            times = [number / 24 for number in range(round(float(row["length"]) * 24))]
            frames = video.frames_at(times).astype(float)
        change = np.abs(np.diff(frames, axis=0)).max(axis=(1, 2, 3))
        video = AnnotatedVideo(actions_in(row["actions"], 4))
        at_both = [video.between(one, one) & video.between(other, other) for one, other in pairwise(times)]
        assert change[[bool(labels) for labels in at_both]].min(initial=99) > 15
        assert change[[not video.between(one, other) for one, other in pairwise(times)]].max(initial=0) < 15


def test_a_training_clip_has_the_actions_of_its_span_and_a_video_all(scenes: Path) -> None:
    data, of_video = charades(scenes), charades(scenes, clip_labels="video")
    drawn = {
        case: {tuple(data.draw(case, seed).target[0].tolist()) for seed in range(8)} for case in data.cases("train")
    }
    for case, targets in drawn.items():
        whole = tuple(data.open_case(case).target.tolist())
        assert all(one <= other for target in targets for one, other in zip(target, whole, strict=True))
        assert tuple(of_video.draw(case, 0).target[0].tolist()) == whole
    assert any(len(targets) > 1 for targets in drawn.values())
    assert data.draw("A0001", 0).target.dtype == torch.float32


def as_frame_lists(scenes: Path, root: Path) -> Path:
    """The same data set, its tables as PySlowFast's lists of frames."""
    (root / "Charades_v1_480").symlink_to(scenes / "Charades_v1_480")
    for split, name in (("train", "train"), ("test", "val")):
        with (scenes / f"Charades_v1_{split}.csv").open() as file, (root / f"{name}.csv").open("w") as written:
            written.write(HEADER)
            for number, row in enumerate(csv.DictReader(file)):
                actions = actions_in(row["actions"], 4)
                for frame in range(round(float(row["length"]) * 24)):
                    labels = sorted({one.label for one in actions if one.start <= frame / 24 < one.end})
                    path = f"{row['id']}/{row['id']}-{frame + 1:06d}.jpg"
                    written.write(f'{row["id"]} {number} {frame} {path} "{",".join(map(str, labels))}"\n')
    return root


def test_lists_of_frames_say_the_same_as_the_tables(scenes: Path, tmp_path: Path) -> None:
    plain, listed = charades(scenes), charades(as_frame_lists(scenes, tmp_path), lists="frames")
    assert listed.target_info.names == tuple(f"class {number}" for number in range(4))
    assert listed.cases("train") == plain.cases("train")
    same, drawn = 0, 0
    for case in plain.cases("train"):
        assert listed.open_case(case).target.tolist() == plain.open_case(case).target.tolist()
        for seed in range(6):
            drawn += 1
            same += listed.draw(case, seed).target.tolist() == plain.draw(case, seed).target.tolist()
    assert same / drawn > 0.9  # times are rounded to frames


def test_frames_in_place_of_videos_are_read_at_their_rate(scenes: Path, tmp_path: Path) -> None:
    for name in ("Charades_v1_train.csv", "Charades_v1_test.csv", "Charades_v1_classes.txt"):
        (tmp_path / name).write_bytes((scenes / name).read_bytes())
    for film in (scenes / "Charades_v1_480").iterdir():
        folder = tmp_path / "Charades_v1_rgb" / film.stem
        folder.mkdir(parents=True)
        with open_video(film) as video:
            times = [number / 24 for number in range(round(video.length.duration * 24))]
            for number, frame in enumerate(video.frames_at(times), start=1):
                Image.fromarray(frame).save(folder / f"{film.stem}-{number:06d}.png")
    frames, films = charades(tmp_path), charades(scenes)
    for seed in range(4):
        one, other = frames.draw("A0002", seed), films.draw("A0002", seed)
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.input, other.input)


@given(st.lists(st.sets(st.integers(0, 3), max_size=3), min_size=1, max_size=12), st.data())
def test_a_clip_has_the_union_of_the_labels_of_its_frames(
    tmp_path_factory: Any, frames: list[set[int]], data: Any
) -> None:
    path = tmp_path_factory.mktemp("lists") / "train.csv"
    lines = [f'v 0 {place} v/{place}.jpg "{",".join(map(str, labels))}"\n' for place, labels in enumerate(frames)]
    path.write_text(HEADER + "".join(lines))
    video = read_frame_list(path, 24, 4)["v"]
    first = data.draw(st.integers(0, len(frames) - 1))
    last = data.draw(st.integers(first, len(frames) - 1))
    assert video.between(first / 24, last / 24) == set().union(*frames[first : last + 1])
    assert video.labels() == set().union(*frames)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("c001 1.0", "'c001 1.0' is not an action with its times"),
        ("c001 1,0 2,0", "is not an action with its times"),
        ("c004 1.0 2.0", "there is no action c004: they are c000 to c003"),
        ("c001 2.0 1.0", "ends before it begins"),
        ("c001 0.0 nan", "is not an action with its times"),
    ],
)
def test_actions_that_cannot_be_right_are_refused(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        actions_in(f"c000 0.00 1.00;{cell}", 4)


def refusal(root: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        charades(root, **options).cases("train")
    return caught.value


def small(root: Path, train: str, test: str = "T1,Y,c000 0 1\n", header: str = "id,subject,actions\n") -> Path:
    (root / "Charades_v1_480").mkdir(exist_ok=True)
    for name in ("A1", "A2", "T1"):
        (root / "Charades_v1_480" / f"{name}.mp4").touch()
    (root / "Charades_v1_classes.txt").write_text("c000 Sitting\nc001 Running somewhere\n")
    (root / "Charades_v1_train.csv").write_text(header + train)
    (root / "Charades_v1_test.csv").write_text(header + test)
    return root


def test_what_is_wrong_with_a_table_is_said(tmp_path: Path) -> None:
    assert "Charades_v1_train.csv:3: A1 is named twice" in str(refusal(small(tmp_path, "A1,X,\nA1,X,\n")))
    assert "Charades_v1_train.csv:2: there is no action c007" in str(refusal(small(tmp_path, "A1,X,c007 0 1\n")))
    assert "1 videos of the lists are not in" in str(refusal(small(tmp_path, "A1,X,\nA9,X,\n")))
    assert "1 videos are in both lists: T1" in str(refusal(small(tmp_path, "A1,X,\nT1,X,\n")))
    assert "no columns id and actions" in str(refusal(small(tmp_path, "A1,X,\n", header="id,subject,action\n")))
    small(tmp_path, "A1,X,\n")
    (tmp_path / "Charades_v1_classes.txt").write_text("c001 Running\nc000 Sitting\n")
    assert "its line 1 is not of c000" in str(refusal(tmp_path))
    (tmp_path / "Charades_v1_classes.txt").unlink()
    assert "there is no Charades_v1_classes.txt" in str(refusal(tmp_path))


def test_people_are_held_out_whole_and_those_in_both_lists_are_said(tmp_path: Path) -> None:
    data = charades(small(tmp_path, "A1,X,\nA2,Y,c001 0 1;c000 2 3\n"))
    assert data.index.notes == ("people who are in both lists: Y",)
    assert data.groups() == {"A1": "X"}
    assert data.open_case("A1").target.tolist() == [0, 0]
    assert data.open_case("A2").target.tolist() == [1, 1]
    divided = charades(small(tmp_path, "A1,X,\nA2,X2,\n"), validation_fraction=0.5)
    assert divided.cases("test") == ("T1",)
    assert sorted((*divided.cases("train"), *divided.cases("validation"))) == ["A1", "A2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path label\nv/1.jpg 3\n", "does not begin with the line original_vido_id video_id frame_id path labels"),
        (HEADER + "v 0 0 v/1.jpg 1,2 3\n", "train.csv:2: 6 cells, the header has 5"),
        (HEADER + 'v 0 0 v/1.jpg "4"\n', "train.csv:2: the label '4' is none of 0 to 3"),
        (HEADER + 'v 0 0 a "1"\nw 1 0 b "1"\nv 0 1 c "1"\n', "train.csv:4: frames of v are not together"),
        (HEADER, "lists no frames"),
    ],
)
def test_what_is_wrong_with_a_list_of_frames_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_frame_list(tmp_path / "train.csv", 24, 4)


def test_the_header_without_its_typing_error_is_read_too(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER.replace("vido", "video") + 'v 0 0 "v 1/1.jpg" ""\r\nv 0 1 "v 1/2.jpg" "0,3"\r\n'
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    assert read_frame_list(tmp_path / "train.csv", 24, None)["v"].labels() == {0, 3}
