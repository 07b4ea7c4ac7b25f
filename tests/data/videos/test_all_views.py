"""Clips from every frame of a video: the same views as when they are asked for one by one, and the same answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from medvid.config.evaluation import CaseEvaluationOptions
from medvid.data.videos.case import VideoCase
from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.reader import VideoReadError
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import make_evaluator

COUNT = 20


@pytest.fixture(scope="module")
def film(films: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames, 25 per second."""
    path: Path = films.write(tmp_path_factory.mktemp("film") / "a.mp4", films.numbered(COUNT, (32, 48)), fps=25)
    return path


def case(film: Path, **values: object) -> VideoCase:
    given = {"name": "videos", "root": film.parent, "frames": 4, "rate": 2, "target_fps": "file", "size": 32}
    return VideoCase("a", film, ClipOptions.model_validate({**given, "short_side": [32, 32], **values}))


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("stride", [1, 5])
def test_they_are_the_views_of_each_start(film: Path, crops: int, stride: int) -> None:
    starts = COUNT - 3 * 2
    found = case(film).all_views(stride, crops)
    assert len(found) == len(range(0, starts, stride)) * crops
    assert found.shape == (len(found), 3, 4, 32, 32)
    each = case(film).views(starts, crops, "spread").view(starts, crops, 3, 4, 32, 32)[::stride].flatten(0, 1)
    parts = torch.cat([found[start : start + 4] for start in range(0, len(found), 4)])
    torch.testing.assert_close(parts, each, rtol=0, atol=0)


def test_each_frame_is_held_once_as_bytes(film: Path) -> None:
    found = case(film).all_views(1, 1)
    assert (found.frames.shape, found.frames.dtype) == ((1, COUNT, 3, 32, 32), torch.uint8)
    off_beat = case(film, target_fps=30).all_views(1, 1)  # between the frames of the file
    assert off_beat.frames.shape[1] <= COUNT


@pytest.mark.parametrize("frames", [11, 12, 30])
def test_what_lies_behind_the_end_is_of_the_mean_colour(film: Path, frames: int) -> None:
    video = case(film, frames=frames, short="blank")
    found = video.all_views(1, 1)
    [view] = found[:]
    assert torch.equal(view, video.views(1, 1, "spread")[0])
    assert (view[:, COUNT // 2 :].abs() < 0.5 / 255 / 0.225).all()
    assert (view[:, : COUNT // 2].abs().amax(dim=(0, 2, 3)) > 0.1).all()


def test_a_video_that_is_too_short_is_refused_by_name(film: Path) -> None:
    with pytest.raises(VideoReadError, match=r"it lasts 0\.80 s, less than"):
        case(film, frames=12, short="error").all_views(1, 1)


def test_a_stride_is_of_all_clips_alone() -> None:
    assert CaseEvaluationOptions(clips="all", clip_stride=5).clip_stride == 5
    with pytest.raises(ValidationError, match="clip_stride is of clips: all, but clips is 2"):
        CaseEvaluationOptions(clips=2, clip_stride=5)


def test_the_answer_is_the_mean_over_all_of_them(film: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 32 * 32, 1)).eval()
    target = TargetInfo("case", "value", ("EF",), ("%",))
    scoring = make_evaluator(make_host(), InputInfo("video", 3, (4, 32, 32)), target, clips="all", window_batch=3)
    assert scoring.inference.cases_at_once(torch.device("cuda")) == 1
    [inferred] = scoring.inference.infer(model, [scoring.inference.load(case(film))], final=True)
    with torch.inference_mode():
        expected = model(case(film).views(COUNT - 6, 1, "spread")).double().mean(0)
    torch.testing.assert_close(inferred.answer, expected, rtol=1e-6, atol=1e-6)
    assert inferred.size == (4, 32, 32)
