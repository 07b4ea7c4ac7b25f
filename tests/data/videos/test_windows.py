"""Clips at regular times of a video."""

from typing import Any

import numpy as np
import pytest
import torch

from medvid.data.videos.case import VideoCase
from medvid.data.videos.options import ListedVideoOptions
from medvid.errors import ConfigError

SAME = {"mean": [0, 0, 0], "std": [1, 1, 1], "size": 32, "short_side": [32, 32]}


def options(**given: Any) -> ListedVideoOptions:
    values = {"name": "videos", "root": ".", "frames": 3, "rate": 3, "target_fps": 30, **SAME, **given}
    return ListedVideoOptions.model_validate(values)


def numbers(films: Any, clip: torch.Tensor) -> list[int]:
    frames: np.ndarray = (clip * 255).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()
    return films.numbers(frames)


def test_each_clip_has_its_middle_at_its_time_and_the_video_is_decoded_once(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(60, (32, 48)))
    found = list(VideoCase("a", path, options()).along(0.5))
    assert [time for time, _ in found] == [0.25, 0.75, 1.25, 1.75]
    assert [numbers(films, clip) for _, clip in found] == [[4, 7, 10], [19, 22, 25], [34, 37, 40], [49, 52, 55]]
    assert found[0][1].shape == (3, 3, 32, 32)


def test_clips_that_overlap_and_reach_beyond_the_video(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(12, (32, 48)))
    found = [numbers(films, clip) for _, clip in VideoCase("a", path, options(frames=5)).along(0.1)]
    assert found == [[0, 0, 1, 4, 7], [0, 1, 4, 7, 10], [1, 4, 7, 10, 11], [4, 7, 10, 11, 11]]


def test_a_video_shorter_than_an_interval_has_one_clip(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(12, (32, 48)))
    [(time, clip)] = VideoCase("a", path, options()).along(5)
    assert (time, numbers(films, clip)) == (pytest.approx(0.2), [3, 6, 9])


def test_one_clip_is_that_of_an_evaluation(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(31, (32, 48)))
    case = VideoCase("a", path, options())
    [(_, clip)] = case.along(31 / 30)
    assert numbers(films, clip) == numbers(films, case.input())
    torch.testing.assert_close(clip, case.input(), atol=0.02, rtol=0)


def test_segments_have_no_time(films, tmp_path) -> None:
    path = films.write(tmp_path / "a.mp4", films.numbered(12, (32, 48)))
    with pytest.raises(ConfigError, match="spread over the whole video"):
        next(VideoCase("a", path, options(sampling="segments")).along(1))
