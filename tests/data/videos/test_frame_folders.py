"""Folders of numbered pictures as videos: as FFmpeg, mmaction2 and cameras write them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from medvid.data.videos.check import check_video
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.decoders import open_video
from medvid.data.videos.frame_files import FrameFileOptions, frames_in
from medvid.data.videos.index import find_videos, left_out_of
from medvid.data.videos.lists import ListFormat, find_lists, read_lists
from medvid.data.videos.options import ListedVideoOptions
from medvid.data.videos.reader import VideoReadError
from medvid.errors import ConfigError, DataError

AT_10 = FrameFileOptions(rate=10)


def write(films: Any, folder: Path, count: int, name: str = "img_{:05}.jpg", first: int = 1, step: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(films.numbered(count)):
        Image.fromarray(frame).save(folder / name.format(first + step * number), quality=95)
    return folder


def faults(folder: Path, **options: Any) -> VideoReadError:
    with (
        pytest.raises(VideoReadError) as caught,
        open_video(folder, frame_files=FrameFileOptions(rate=10, **options)) as video,
    ):
        video.check_all()
    return caught.value


@pytest.fixture(scope="module")
def folder(films: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames from 1 on. Not to be changed."""
    return write(films, tmp_path_factory.mktemp("frames") / "a", 20)


def test_a_time_names_the_frame_that_is_shown_then(films, folder) -> None:
    with open_video(folder, frame_files=AT_10) as video:
        assert (video.length.duration, video.length.fps) == (pytest.approx(2), 10)
        assert films.numbers(video.frames_at([1.9, 0, 0.35, 0.3, -1, 99])) == [19, 0, 3, 3, 0, 19]
        assert films.numbers(np.stack(list(video.in_order([0, 0.1, 0.1, 0.55, 1.9, 7])))) == [0, 1, 1, 5, 19, 19]
        assert video.frames_at([0.0]).dtype == np.uint8
        assert list(video.notes) == ["is a folder of frames called img_{:05}.jpg, judging by their names"]


@given(rate=st.sampled_from([0.5, 1, 25, 29.97, 30000 / 1001, 240]), number=st.integers(0, 19))
def test_any_rate_finds_each_frame_at_its_time_and_shortly_before_the_next(films, folder, rate, number) -> None:
    with open_video(folder, frame_files=FrameFileOptions(rate=rate)) as video:
        assert films.numbers(video.frames_at([number / rate, (number + 0.6) / rate])) == [number, number]


def test_only_frames_that_are_asked_for_are_decoded(films, tmp_path) -> None:
    write(films, tmp_path, 5)
    (tmp_path / "img_00003.jpg").write_bytes(b"damaged")
    with open_video(tmp_path, frame_files=AT_10) as video:
        assert films.numbers(video.frames_at([0, 0.1, 0.3, 0.4])) == [0, 1, 3, 4]
        with pytest.raises(VideoReadError, match=r"img_00003\.jpg \(7 bytes\) is not a PNG"):
            video.frames_at([0.2])
    with pytest.raises(VideoReadError, match=r"img_00003\.jpg"):
        check_video(open_video(tmp_path, frame_files=AT_10), deep=True)


def test_the_rate_is_asked_for_by_name(folder) -> None:
    with pytest.raises(
        ConfigError, match=r"dataset\.frame_files\.rate is not set.*frames of .*/a a second has"
    ) as caught:
        open_video(folder).__enter__()
    assert "--set dataset.frame_files.rate=25" in caught.value.hint
    with pytest.raises(ValidationError, match="greater than 0"):
        FrameFileOptions(rate=0)


@pytest.mark.parametrize("template", ["frame{:d}.png", "frame%d.png", "frame{}.png"])
def test_templates_and_first_numbers(films, tmp_path, template) -> None:
    write(films, tmp_path, 12, "frame{}.png", first=0)
    write(films, tmp_path, 12, "mask{}.png", first=0)
    options = FrameFileOptions(template=template, start=9, rate=1)
    with open_video(tmp_path, frame_files=options) as video:  # not in the order of names: 10, 11, 9
        assert films.numbers(video.frames_at([0, 1, 2])) == [9, 10, 11]
        assert len(video.times.shown) == 3


@pytest.mark.parametrize(
    "template", ["frame.png", "a{}b{}.png", "{:s}.png", "{:.5}.png", "x/{}.png", "{", "{0.__class__}"]
)
def test_templates_that_are_none(template) -> None:
    with pytest.raises(ValidationError):
        FrameFileOptions(template=template)


def test_optical_flow_is_left_out_and_other_kinds_are_asked_about(films, tmp_path) -> None:
    write(films, tmp_path, 3)
    for flow in ("flow_x_{:05}.jpg", "flow_y_{:05}.jpg"):
        write(films, tmp_path, 3, flow)
    assert list(frames_in(tmp_path, AT_10)[0]) == ["img_00001.jpg", "img_00002.jpg", "img_00003.jpg"]
    write(films, tmp_path, 3, "left_{}.png")
    error = faults(tmp_path)
    assert "pictures of several kinds of name: img_{:05}.jpg, left_{}.png" in error.reason
    assert "dataset.frame_files.template" in error.hint


def test_gaps_in_the_numbering(films, tmp_path) -> None:
    write(films, tmp_path, 9)
    (tmp_path / "img_00003.jpg").unlink()
    (tmp_path / "img_00006.jpg").unlink()
    assert "frames are missing in its numbering, 2 in all: 3, 6" in faults(tmp_path).reason
    assert "no frame 6, which is to be the first" in faults(tmp_path, start=6).reason
    assert "no file in it is called f{}.jpg" in faults(tmp_path, template="f{}.jpg").reason
    write(films, tmp_path, 1, first=10**12)  # counted, not enumerated
    assert "999999999992 in all: 3, 6, 10 to 999999999999" in faults(tmp_path).reason
    (tmp_path / f"img_{10**12}.jpg").unlink()
    write(films, tmp_path, 1, "img_{}.jpg", first=4)
    assert "img_00004.jpg and img_4.jpg are both its frame 4" in faults(tmp_path).reason


def test_numbers_that_are_times(films, tmp_path) -> None:
    write(films, tmp_path, 3, "{}.png", first=1700000000000, step=33)
    write(films, tmp_path, 1, "{}.png", first=1700000000100)
    assert "are not evenly spaced: they are 33 to 34 apart" in faults(tmp_path).reason


def test_every_25th_frame_alone_is_a_video_of_neighbours(films, tmp_path) -> None:
    write(films, tmp_path, 4, first=0, step=25)
    with open_video(tmp_path, frame_files=FrameFileOptions(rate=1)) as video:
        assert films.numbers(video.frames_at([0, 1, 3])) == [0, 1, 3]
        assert "every 25th number" in video.notes[1]


def test_frames_of_other_sizes_colours_and_turns(films, tmp_path) -> None:
    """As `read_image` reads them: gray and 16 bits become RGB, EXIF turns, CMYK is refused."""
    frame = films.numbered(1)[0]
    gray = Image.fromarray(frame).convert("L")
    gray.save(tmp_path / "1.png")
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(tmp_path / "2.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise, so it is stored counter-clockwise
    Image.fromarray(np.rot90(frame)).save(tmp_path / "3.jpg", exif=exif, quality=95)
    for name in ("1.png", "2.png", "3.jpg"):
        alone = FrameFileOptions(template=name.replace(name[0], "{}"), start=int(name[0]), rate=1)
        with open_video(tmp_path, frame_files=alone) as video:
            found = video.frames_at([0.0])[0]
            assert found.shape == frame.shape
            assert np.abs(found.astype(int) - frame).max() <= 3
    Image.fromarray(frame[:40]).save(tmp_path / "3.png")
    (tmp_path / "3.jpg").unlink()
    assert "frame 2, counted from 0, is 64 x 40, but frame 0 is 64 x 48" in faults(tmp_path).reason
    Image.fromarray(frame).convert("CMYK").save(tmp_path / "1.jpg")
    Image.fromarray(frame).convert("CMYK").save(tmp_path / "2.jpg")
    assert faults(tmp_path, template="{}.jpg").reason.startswith("1.jpg is in CMYK")


def options(root: Path, **values: object) -> ListedVideoOptions:
    given = {"frames": 2, "rate": 1, "size": 32, "target_fps": 10, "short_side": [32, 32], "frame_files": {"rate": 10}}
    return ListedVideoOptions.model_validate({"name": "videos", "root": root, **given, **values})


def test_folders_of_classes_hold_files_and_folders_of_frames(films, tmp_path) -> None:
    write(films, tmp_path / "a" / "one", 5)
    write(films, tmp_path / "a" / "deep" / "two", 5)
    films.write(tmp_path / "b" / "three.mp4", films.numbered(5))
    write(films, tmp_path / "b" / "four", 5)
    write(films, tmp_path / "b", 2, "cover{}.png")  # of the class
    films.write(tmp_path / "b" / "five" / "x.mp4", films.numbered(5))
    write(films, tmp_path / "b" / "five", 2, "thumbnail{}.png")  # beside a video
    (tmp_path / "a" / "one" / "times.bin").write_bytes(b"x")
    index = options(tmp_path).index()
    assert {case: clip.label for case, clip in index.clips.items()} == {
        "a/deep/two": 0, "a/one": 0, "b/five/x.mp4": 1, "b/four": 1, "b/three.mp4": 1
    }  # fmt: skip
    assert "3 of 5 videos are folders of numbered pictures" in index.notes
    assert any("5 files" in note and "b/cover1.png" in note and "a/one/times.bin" in note for note in index.notes)
    data = VideoDataset(options(tmp_path))
    cases = data.cases("train")
    data.prepare(cases, lambda *_: None)
    assert data.draw("a/one", 0).input.shape == (1, 3, 2, 32, 32)
    assert data.open_case("a/deep/two").views(2, 1, "spread").shape == (2, 3, 2, 32, 32)
    assert "every" not in "".join(data.check_case("a/one", deep=True))
    assert "judging by their names" in data.check_case("b/four", deep=False)[0]
    before, prints = data.digest(cases), [data.fingerprint(case) for case in ("b/four", "a/deep/two")]
    assert len(set(prints)) == 1  # copies are found
    data.record(cases, lambda *_: None)
    (tmp_path / "a" / "one" / "img_00002.jpg").write_bytes(b"changed")
    with pytest.raises(DataError, match=r"1 files changed since they were checked: a/one/img_00002\.jpg"):
        VideoDataset(options(tmp_path)).prepare(cases, lambda *_: None)
    (tmp_path / "a" / "one" / "img_00005.jpg").unlink()
    assert VideoDataset(options(tmp_path)).digest(cases) != before


def test_files_and_folders_for_prediction(films, tmp_path) -> None:
    write(films, tmp_path / "one", 3)
    write(films, tmp_path / "two", 3)
    assert list(find_videos([tmp_path / "one"])) == ["one"]
    assert list(find_videos([tmp_path])) == ["one", "two"]
    (tmp_path / "one" / "x.bin").write_bytes(b"x")
    assert left_out_of([tmp_path / "one"]) == [f"1 file in {tmp_path / 'one'} left out, not videos: x.bin"]


def frame_list(root: Path, text: str) -> Any:
    (root / "a_train_list_rawframes.txt").write_text(text)
    return read_lists(root, find_lists(root), ListFormat())


def test_mmaction_lists_of_folders_of_frames(films, tmp_path) -> None:
    write(films, tmp_path / "v 1", 8)
    write(films, tmp_path / "v2", 8)
    index = frame_list(tmp_path, "v 1 5 0\nv2 8 1\n")
    assert index.clips["v 1"].part == (0, 5)
    assert index.clips["v2"].label == 1
    assert "each line is read as folder, number of frames, label" in index.notes[0]
    index = frame_list(tmp_path, "v2 0 3 1\nv2 3 4 0\n")
    assert {case: clip.part for case, clip in index.clips.items()} == {"v2": (0, 3), "v2_3-7": (3, 4)}
    clip = index.clips["v2_3-7"]
    with open_video(clip.path, frame_files=AT_10, part=clip.part) as video:
        assert films.numbers(video.frames_at([0, 99])) == [3, 6]
    index = frame_list(tmp_path, "v2 9 1\n")
    clip = index.clips["v2"]
    with pytest.raises(VideoReadError, match="up to the 9th, but there are 8"):
        open_video(clip.path, frame_files=AT_10, part=clip.part).__enter__()
    with pytest.raises(DataError, match="v2 has 0 frames"):
        frame_list(tmp_path, "v2 0 1\n")


def test_lists_without_numbers_of_frames(films, tmp_path) -> None:
    """`folder label`, whose names may end in numbers."""
    write(films, tmp_path / "take 2 3", 3)
    index = frame_list(tmp_path, "take 2 3 0\n")
    assert {case: (clip.label, clip.part) for case, clip in index.clips.items()} == {"take 2 3": (0, None)}


def test_lists_of_folders_of_frames_with_several_labels(films, tmp_path) -> None:
    write(films, tmp_path / "v2", 8)
    (tmp_path / "train.txt").write_text("v2 8 0 2\n")
    index = read_lists(tmp_path, find_lists(tmp_path), ListFormat(several=True))
    assert (index.clips["v2"].part, index.several) == ((0, 8), ({0, 2},))
    assert "folder, number of frames, labels" in index.notes[0]
