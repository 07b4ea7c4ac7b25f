"""Frames by time, from real files of every kind, by every reader that is installed."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvid.data.videos.decoders import open_video
from medvid.data.videos.reader import VideoReadError
from medvid.errors import DataError


def numbers_at(films: Any, path: Path, times: list[float]) -> list[int]:
    with open_video(path) as video:
        return films.numbers(video.frames_at(times))


@pytest.mark.parametrize("fps", [10, 30, Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_time_names_the_frame_that_is_shown_then(films, tmp_path, name, fps) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = films.write(tmp_path / name, films.numbered(60), fps=fps, codec=codec)
    with open_video(path) as video:
        assert video.length.fps == pytest.approx(float(fps), rel=2e-3)  # Matroska rounds to milliseconds
        assert video.length.duration == pytest.approx(60 / fps, rel=2e-3)
        starts = [number / float(fps) for number in (0, 1, 7, 30, 31, 59)]
        assert films.numbers(video.frames_at(starts)) == [0, 1, 7, 30, 31, 59]
        within = [time + 0.7 / float(fps) for time in starts]
        assert films.numbers(video.frames_at(within)) == [0, 1, 7, 30, 31, 59]
        frames = video.frames_at([starts[3], 1000, starts[1], -5, starts[3]])
        assert films.numbers(frames) == [30, 59, 1, 0, 30]
        assert (frames.dtype, frames.shape) == (np.uint8, (5, 48, 64, 3))
        assert frames.flags.c_contiguous


def test_varying_frame_rates(films, tmp_path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(10, 150, 60)).tolist()
    times = [time - times[0] for time in times]
    path = films.write(tmp_path / "a.mp4", films.numbered(60), times=times)
    asked = np.random.default_rng(1).integers(0, times[-1], 40) + 0.5  # milliseconds
    expected = [sum(time <= moment for time in times) - 1 for moment in asked]
    assert numbers_at(films, path, (asked / 1000).tolist()) == expected
    naive = (asked / times[-1] * 59).astype(int).tolist()
    assert sum(a != b for a, b in zip(naive, expected, strict=True)) > 20  # what sampling by index would give


def test_going_forward_decodes_each_frame_once_and_keeps_none(films, tmp_path, monkeypatch) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(60), fps=30, gop=250)
    with open_video(path) as video:
        frames = video.in_order([-1, 0, 0, 0.01, 0.1, *np.arange(10, 60) / 30, 7, 9])
        assert films.numbers(np.stack([next(frames) for _ in range(5)])) == [0, 0, 0, 0, 3]
        assert films.numbers(np.stack([*frames])) == [*range(10, 60), 59, 59]
        turned = []
        monkeypatch.setattr(video, "picture", lambda frame: turned.append(frame.pts))
        assert len([*video.in_order([0.5, 1.0, 1.0, 1.5])]) == 4
        assert len(turned) == 3  # only what is asked for becomes a picture


def test_webm(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.webm", films.numbered(30), codec="libvpx-vp9")
    assert numbers_at(films, path, [0, 10 / 30, 29 / 30]) == [0, 10, 29]


def test_colours_are_red_green_and_blue(films, tmp_path) -> None:
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    frames[...] = (200, 40, 90)
    path = films.write(tmp_path / "a.mp4", frames)
    with open_video(path) as video:
        np.testing.assert_allclose(video.frames_at([0.0])[0, 16, 16], (200, 40, 90), atol=6)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_videos_are_turned(films, tmp_path, degrees) -> None:
    frames = np.full((6, 32, 48, 3), (30, 30, 200), np.uint8)
    frames[:, :16, :16] = (220, 220, 30)  # top left
    path = films.rotate(films.write(tmp_path / "a.mp4", frames), degrees)
    with open_video(path) as video:
        frame = video.frames_at([0.1, 0.0])[0]
    expected = np.rot90(frames[0], -degrees // 90)
    assert frame.shape == expected.shape
    np.testing.assert_allclose(frame[8::16, 8::16], expected[8::16, 8::16], atol=12)


def test_one_frame(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(1))
    with open_video(path) as video:
        assert films.numbers(video.frames_at([0.0, 0.5])) == [0, 0]
        assert video.length.last == pytest.approx(0, abs=1e-6)


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share) | 1])
    return path


def bad_files(films: Any, folder: Path) -> dict[str, Path]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)
    files = {
        "index last": cut(films.write(folder / "end.mp4", noise), 0.5),
        "index first": cut(films.write(folder / "start.mp4", noise, faststart=True), 0.7),
        "webm": cut(films.write(folder / "cut.webm", noise, codec="libvpx-vp9"), 0.5),
        "transport stream": cut(films.write(folder / "a.ts", noise), 0.503),
        "program stream": cut(films.write(folder / "a.mpg", noise, codec="mpeg2video"), 0.47),
        "sound": films.silent_picture(folder / "sound.mp4"),
        "missing": folder / "missing.mp4",
        "folder": folder,
        "noise": folder / "noise.mp4",
    }
    files["noise"].write_bytes(np.random.default_rng(0).bytes(5000))
    for name, text in {
        "empty": "",
        "text": "Übungen: not a video\n" * 40,
        "web page": "\n<!DOCTYPE html><html>Quota exceeded</html>",
        "pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    }.items():
        files[name] = folder / f"{name}.mp4"
        files[name].write_text(text)
    return files


REASONS = {
    "index last": "it is truncated",
    "index first": "it is truncated: it has",
    "webm": "it is truncated: it has",
    "transport stream": "it is truncated: its last packet",
    "program stream": "it is truncated: its last packet",
    "sound": "it has no video stream",
    "missing": "it does not exist",
    "folder": "it is a folder that holds no numbered pictures",
    "noise": "it is not a video, or damaged",
    "empty": "it is empty",
    "text": "it is a text file",
    "web page": "it is a web page",
    "pointer": "git lfs pull",
}


def test_every_failure_is_one_error_that_names_file_and_reason(films, tmp_path, capfd) -> None:
    for kind, path in bad_files(films, tmp_path).items():
        with pytest.raises(VideoReadError) as caught, open_video(path) as video:
            video.frames_at([0.0, video.length.last])
        assert isinstance(caught.value, DataError)
        assert str(caught.value).startswith(f"{path} cannot be read: ")
        assert REASONS[kind] in caught.value.reason
        assert len(str(caught.value)) < len(str(path)) + 200
        assert "\n" not in str(caught.value)
    assert not capfd.readouterr().err


def test_the_error_crosses_processes_unchanged(tmp_path) -> None:
    error = VideoReadError(tmp_path / "a.mp4", "it is odd", "look at it")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.reason) == (
        f"{tmp_path}/a.mp4 cannot be read: it is odd",
        tmp_path / "a.mp4",
        "it is odd",
    )
    assert again.hint == error.hint == "look at it"


def _first_number(path: str) -> int:
    with open_video(path) as video:
        return int(video.frames_at([0.5])[0].mean())


def test_readers_work_in_processes_that_are_forked_from_one_that_has_read(films, tmp_path) -> None:
    path = str(films.write(tmp_path / "a.mp4", films.numbered(30)))
    expected = _first_number(path)
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        assert list(pool.map(_first_number, [path] * 4)) == [expected] * 4
