"""Re-encoding and checking sets of videos."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from medvid.data.videos.check import check_video
from medvid.data.videos.decoders import open_video
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.reencode import Encoding, reencode
from medvid.errors import DataError

SMALL = Encoding(side=32, gop=6, crf=12)


def nothing(done: int, total: int) -> None: ...


def key_frames(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [number for number, frame in enumerate(container.decode(video=0)) if frame.key_frame]


@pytest.fixture
def source(films, tmp_path) -> Path:
    root = tmp_path / "source"
    films.write(root / "train" / "a b" / "1.mp4", films.numbered(40, (48, 64)), gop=250)
    films.write(root / "train" / "c" / "2.webm", films.numbered(20, (64, 48)), codec="libvpx-vp9")
    (root / "train.csv").write_text(f"train/a b/1.mp4 0\n{root}/train/c/2.webm 1\n")
    (root / "labels.txt").write_text("one\ntwo\n")
    return root


def test_videos_become_small_with_key_frames_close_together(films, source, tmp_path) -> None:
    target, seen = tmp_path / "target", []
    assert reencode(source, target, SMALL, 1, lambda done, total: seen.append((done, total))) == {}
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert key_frames(source / "train" / "a b" / "1.mp4") == [0]
    assert np.diff([*key_frames(target / "train" / "a b" / "1.mp4"), 40]).max() <= 6
    for name, count, size in (("a b/1.mp4", 40, (32, 42)), ("c/2.webm", 20, (42, 32))):
        with open_video(target / "train" / name) as video:
            assert video.length.duration == pytest.approx(count / 30, abs=0.002)
            frames = video.frames_at([number / 30 for number in range(count)])
        assert frames.shape[1:3] == size
        assert films.numbers(frames) == list(range(count))
    assert (target / "train.csv").read_text() == "train/a b/1.mp4 0\ntrain/c/2.webm 1\n"
    assert (target / "labels.txt").read_text() == "one\ntwo\n"
    assert not [path for path in target.rglob("*") if path.name.startswith(".")]


def test_times_and_rotations_are_kept(films, tmp_path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(10, 150, 40)).tolist()
    films.write(tmp_path / "in" / "uneven.mp4", films.numbered(40, (48, 64)), times=times)
    corner = np.full((8, 32, 48, 3), (30, 30, 200), np.uint8)
    corner[:, :16, :16] = (220, 220, 30)
    films.rotate(films.write(tmp_path / "in" / "turned.mp4", corner), 90)
    assert reencode(tmp_path / "in", tmp_path / "out", SMALL, 1, nothing) == {}
    asked = np.random.default_rng(1).uniform(0, (times[-1] - times[0]) / 1000, 50)
    found = []
    for folder in ("in", "out"):
        with open_video(tmp_path / folder / "uneven.mp4") as video:
            found.append([video.length.duration, *films.numbers(video.frames_at(asked))])
        with open_video(tmp_path / folder / "turned.mp4") as video:
            frame = video.frames_at([0.1])[0]
        assert frame.shape == (48, 32, 3)
        np.testing.assert_allclose(frame[8, 24], (220, 220, 30), atol=15)
    assert found[0][1:] == found[1][1:]
    assert found[0][0] == pytest.approx(found[1][0], abs=0.05)


def test_what_is_done_is_not_done_again(source, tmp_path) -> None:
    target = tmp_path / "target"
    reencode(source, target, SMALL, 1, nothing)
    done = target / "train" / "c" / "2.webm"
    before = done.stat().st_mtime_ns
    (target / "train" / "a b" / "1.mp4").unlink()
    reencode(source, target, SMALL, 1, nothing)
    assert done.stat().st_mtime_ns == before
    assert len(key_frames(target / "train" / "a b" / "1.mp4")) >= 7
    with pytest.raises(DataError, match="holds videos with another encoding"):
        reencode(source, target, Encoding(side=64), 1, nothing)
    assert json.loads((target / "reencoded.json").read_text()) == {"side": 32, "gop": 6, "crf": 12}


def test_failures_are_listed_and_all_others_made(films, source, tmp_path) -> None:
    whole = (source / "train" / "a b" / "1.mp4").read_bytes()
    (source / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (source / "empty.mp4").write_bytes(b"")
    films.silent_picture(source / "sound.mp4")
    target = tmp_path / "target"
    reasons = reencode(source, target, SMALL, 2, nothing)
    assert list(reasons) == ["cut.mp4", "empty.mp4", "sound.mp4"]
    assert "truncated" in reasons["cut.mp4"]
    assert reasons["sound.mp4"] == "it has no video stream"
    made = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert made == {"train/a b/1.mp4", "train/c/2.webm", "train.csv", "labels.txt", "reencoded.json"}


def test_folders_that_cannot_be_used(source, tmp_path) -> None:
    for given, target, reason in (
        (source, source / "small", "is within"),
        (source, source, "is within"),
        (tmp_path / "gone", tmp_path / "target", "does not exist"),
    ):
        with pytest.raises(DataError, match=reason):
            reencode(given, target, SMALL, 1, nothing)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(DataError, match="holds other files"):
        reencode(source, tmp_path / "full", SMALL, 1, nothing)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="there are no videos"):
        reencode(tmp_path / "bare", tmp_path / "target", SMALL, 1, nothing)
    assert not (tmp_path / "target").exists()


def test_damage_is_found_by_decoding_everything(films, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    path = films.write(tmp_path / "a.mp4", noise, faststart=True)
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    good, gone = str(films.write(tmp_path / "b.mp4", noise)), str(tmp_path / "c.mp4")
    for deep in (False, True):
        assert check_video(open_video(good), deep=deep) == []
        with pytest.raises(VideoReadError, match="it does not exist"):
            check_video(open_video(gone), deep=deep)
    with pytest.raises(VideoReadError, match="it is damaged after"):
        check_video(open_video(path), deep=True)
