"""Frames of videos by their times: which are seen, what each is annotated with, and what models get of them."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvid.data.videos.decoders import open_video
from medvid.data.videos.frames.annotation import Annotation
from medvid.data.videos.frames.case import FramedVideo
from medvid.data.videos.frames.matching import match, seen_frames
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN, TargetInfo

INFO = TargetInfo("frame", "class", ("before", "after", "later"), has_unknown=True)
CHANGES = (1.3, 2.7)
"""When the shade of a generated video changes, in seconds from its first frame."""
UNEVEN = np.cumsum([0, *np.random.default_rng(0).integers(10, 150, 59)]).tolist()


def options(**values: Any) -> FramedVideoOptions:
    block = {
        "name": "x",
        "root": "x",
        "size": 16,
        "short_side": (16, 16),
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
        **values,
    }
    return FramedVideoOptions.model_validate(block)


def phase(seconds: np.ndarray) -> np.ndarray:
    return np.searchsorted(CHANGES, seconds + 1e-6, side="right")


def changing(films: Any, path: Path, seconds: np.ndarray, **how: Any) -> tuple[Path, np.ndarray]:
    """A video whose frames at these times show the phase as a shade, with the times."""
    shades = (40 + 80 * phase(seconds)).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (len(seconds), 32, 32, 3))
    return films.write(path, np.ascontiguousarray(frames), **how), seconds


@pytest.fixture(scope="module")
def videos(films: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray]]:
    """Of several rates, and the times of their frames."""
    folder = tmp_path_factory.mktemp("videos")
    ntsc = Fraction(30000, 1001)
    ten, pal, us = (np.arange(round(4 * fps)) / float(fps) for fps in (10, 25, ntsc))
    late = (pal * 1000 + 2500).astype(int).tolist()
    return {
        "25": changing(films, folder / "a.mp4", pal, fps=25),
        "29.97": changing(films, folder / "b.mp4", us, fps=ntsc),
        "29.97 in Matroska": changing(films, folder / "b.mkv", us, fps=ntsc),
        "varying": changing(films, folder / "c.mp4", np.array(UNEVEN) / 1000, times=UNEVEN),
        "starts late": changing(films, folder / "d.mkv", pal, times=late),
        "without index": changing(films, folder / "e.ts", pal, fps=25),
        "without times": changing(films, folder / "f.avi", ten, fps=10, codec="mpeg4"),
    }


@pytest.mark.parametrize("fps", [None, 1.0, 5.0, 25.0])
@pytest.mark.parametrize("counted", ["frames", "seconds", "frames at 25"])
def test_pictures_and_annotations_are_within_half_a_frame_of_their_times(videos, fps, counted) -> None:
    for name, (path, times) in videos.items():
        given = options(fps=fps, annotation_fps=25 if counted == "frames at 25" else None)
        case = FramedVideo(name, path, given)
        steps = np.arange(0, times[-1], 1 / 25)
        at = {"frames": np.arange(len(times)), "seconds": times, "frames at 25": np.arange(len(steps))}[counted]
        truth = phase(steps if counted == "frames at 25" else times)
        annotation = Annotation(path, at.tolist(), "second" if counted == "seconds" else "frame", truth.tolist())
        target, _ = match(annotation, case.seen, case.times, given, INFO)
        seconds = np.array(case.places["time_s"])
        half = 0.5 / (len(times) / times[-1])
        if fps:
            assert (np.diff(case.places["frame"]) == 1).all()
            wanted = np.arange(len(seconds)) / fps
            assert abs(len(seconds) - times[-1] * fps) <= 1.5, name
            if name != "varying":
                assert np.abs(seconds - wanted).max() <= half + 0.001, name
        else:
            np.testing.assert_allclose(seconds, times, atol=0.0011, err_msg=name)
        shown = case.frames(0, case.frame_count).mean(dim=(0, 2, 3)).numpy() * 255
        assert (np.abs(shown - 40 - 80 * phase(seconds)) < 12).all(), name
        known = target != UNKNOWN
        assert known.mean() > 0.9, name
        off = target[known] != phase(seconds[known])
        nearest = np.abs(seconds[known][off][:, None] - CHANGES).min(axis=1)
        assert (nearest <= max(half, 0.5 / 25) + 0.002).all(), (name, nearest)


def test_frames_are_the_same_in_any_order(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(60), fps=10)
    case = FramedVideo("a", path, options(fps=5))
    whole = case.input()
    assert whole.shape == (3, 30, 16, 16)
    for start, stop, step in [(-6, 6, 3), (-2, 10, 3), (5, 9, 1), (20, 36, 4), (2, 4, 1), (29, 33, 2), (0, 30, 1)]:
        numbers = [min(max(number, 0), 29) for number in range(start, stop, step)]
        assert torch.equal(case.frames(start, stop, step), whole[:, numbers])


def test_going_forward_decodes_each_frame_once_and_keeps_a_window(films, tmp_path, monkeypatch) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(90), fps=10)
    case = FramedVideo("a", path, options(fps=10))
    decoded = []
    decode = case._forward._decode
    monkeypatch.setattr(case._forward, "_decode", lambda first: (decoded.append(first) or one for one in decode(first)))
    for last in range(90):
        case.frames(last - 12, last + 1, 4)
        assert len(case._forward._kept) <= 13
    assert len(decoded) == 90


def annotated(at: list[float], unit: str = "frame") -> Annotation:
    return Annotation(Path("a.txt"), at, unit, [number % 3 for number in range(len(at))])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "values", "said"),
    [
        (range(100), {}, "ends before its video: with frame 99, which is 9.9 s at 10 frames per second"),
        (range(400), {}, "ends after its video.*40.0? per second would fit|39.9 s"),
        (range(1, 11), {"first_frame": 1}, "ends before.*"),
        (range(30), {}, "annotation_fps: 1"),
        (range(750), {}, "annotation_fps: 25"),
        (range(301), {"first_frame": 1}, "has a frame 0, but frames count from 1"),
        (range(750), {"annotation_fps": 5}, "ends after its video"),
    ],
)
def test_annotations_of_another_length_or_rate_are_refused(films, tmp_path, at, values, said) -> None:
    path = films.write(tmp_path / "a.mp4", np.zeros((300, 32, 32, 3), np.uint8), fps=10)
    with open_video(path) as video:
        times = video.times
    with pytest.raises(DataError) as error:
        match(annotated([*map(float, at)]), seen_frames(times, 1.0), times, options(**values), INFO)
    assert re.search(said, f"{error.value} {error.value.hint}"), f"{error.value} {error.value.hint}"


def test_a_few_frames_more_or_less_are_told(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", np.zeros((100, 32, 32, 3), np.uint8), fps=10)
    with open_video(path) as video:
        times = video.times
    seen = seen_frames(times, 10)
    target, notes = match(annotated([*range(108)]), seen, times, options(fps=10), INFO)
    assert (target != UNKNOWN).all()
    assert notes == ["8 rows of its annotation lie behind its end"]
    target, notes = match(annotated([*range(95)]), seen, times, options(fps=10), INFO)
    assert (target != UNKNOWN).sum() == 95
    assert notes == ["5 of 100 frames have no row in its annotation"]
    sparse = annotated([*range(0, 100, 10)])  # tools once per second, all frames asked for
    target, _ = match(sparse, seen, times, options(fps=10), INFO)
    assert np.flatnonzero(target != UNKNOWN).tolist() == [*range(0, 100, 10)]
