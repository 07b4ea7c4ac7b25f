"""Which frames of a video make a clip."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.videos.sampling import Length, Sampling, all_times, placed_times, random_times

TEN_SECONDS = Length(10.0, 30.0)


def uniform(seed: int = 0):
    return np.random.default_rng(seed).random


def shown(times: list[float], fps: float) -> list[int]:
    """Indices of frames at an even rate; times of frames are not exact in floating point."""
    return [math.floor(time * fps + 1e-6) for time in times]


def test_16x4_is_every_fourth_frame_of_thirty_per_second() -> None:
    [times] = placed_times(Sampling(16, 4, 30), TEN_SECONDS, 1, "segments")
    assert shown(times, 30) == list(range(0, 61, 4))
    [slow] = placed_times(Sampling(16, 4, 30), Length(10.0, 15.0), 1, "segments")
    assert shown(slow, 15) == list(range(0, 31, 2))  # the same time, at half the frame rate
    assert np.diff(times) == pytest.approx(np.full(15, 4 / 30))


@pytest.mark.parametrize("fps", [30.0, 25.0, float(Fraction(30000, 1001))])
@pytest.mark.parametrize(("frames", "rate"), [(8, 32), (16, 16), (96, 4)])
def test_stretched_clips_are_those_of_timesformers_code(fps, frames, rate) -> None:
    """There: linspace from start to start + frames * rate * fps / 30 - 1, rounded down."""
    length = Length(900 / fps, fps)
    size = frames * rate * fps / 30
    for clips in (1, 4):
        found = placed_times(Sampling(frames, rate, 30, stretch=True), length, clips, "segments")
        for clip, times in enumerate(found):
            start = max(900 - size, 0) * clip / clips
            expected = np.floor(np.linspace(start, start + size - 1, frames) + 1e-6).clip(0, 899)
            assert shown(times, fps) == expected.tolist()


def test_clips_are_spread_from_the_first_to_the_last_frame() -> None:
    sampling = Sampling(16, 4, 30)
    five = placed_times(sampling, TEN_SECONDS, 5, "spread")
    assert [shown(times, 30)[0] for times in five] == [0, 59, 119, 179, 239]
    assert shown(five[-1], 30)[-1] == 299
    [one] = placed_times(sampling, TEN_SECONDS, 1, "spread")
    assert (shown(one, 30)[0], shown(one, 30)[-1]) == (119, 179)  # 119.5 and 179.5
    assert [shown(times, 30)[0] for times in placed_times(sampling, TEN_SECONDS, 4, "segments")] == [0, 59, 119, 179]


def test_training_clips_start_anywhere() -> None:
    draw = uniform()
    starts = [random_times(Sampling(16, 4, 30), TEN_SECONDS, draw)[0] for _ in range(2000)]
    assert 0 <= min(starts) < 0.05
    assert 239 / 30 - 0.05 < max(starts) <= 239 / 30
    assert np.mean(starts) == pytest.approx(239 / 60, rel=0.05)
    counts = np.histogram(starts, 8, (0, 239 / 30))[0]
    assert counts.min() > 190


def test_speed_is_a_factor_of_the_span() -> None:
    times = random_times(Sampling(16, 4, 30), TEN_SECONDS, lambda: 0.0, speed=1.25)
    assert shown(times, 30) == list(range(0, 76, 5))


def published_segments(count: int, frames: int, pick) -> list[int]:
    """As PySlowFast samples Something-Something V2."""
    size = (count - 1) / frames
    return [pick(int(np.round(size * i)), int(np.round(size * (i + 1)))) for i in range(frames)]


@pytest.mark.parametrize("count", [1, 7, 16, 40, 45, 60, 200])
@pytest.mark.parametrize("frames", [8, 16])
def test_segments_are_the_published_ones(count, frames) -> None:
    sampling, length = Sampling(frames, 4, 30, "segments"), Length(count / 12, 12.0)
    [middle] = placed_times(sampling, length, 1, "spread")
    assert shown(middle, 12) == published_segments(count, frames, lambda start, end: (start + end) // 2)
    for value, pick in ((0.0, min), (0.999999, max)):
        times = random_times(sampling, length, lambda value=value: value)
        assert shown(times, 12) == published_segments(count, frames, lambda start, end, pick=pick: pick(start, end))


def test_each_frame_of_a_segment_is_as_likely() -> None:
    draw = uniform()
    seen = Counter(
        shown(random_times(Sampling(2, 4, 30, "segments"), Length(9.0, 1.0), draw), 1)[0] for _ in range(3000)
    )
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert min(seen.values()) > 500


def test_further_clips_of_segments_take_other_frames() -> None:
    clips = placed_times(Sampling(4, 1, 30, "segments"), Length(41.0, 1.0), 2, "spread")
    assert [shown(times, 1) for times in clips] == [[2, 12, 22, 32], [7, 17, 27, 37]]


@pytest.mark.parametrize(
    ("short", "expected"),
    [("pad", [0, 4, 8, 9, 9, 9, 9, 9]), ("loop", [0, 4, 8, 2, 6, 0, 4, 8])],
)
def test_a_video_that_is_shorter_than_a_clip(short, expected) -> None:
    sampling, length = Sampling(8, 4, 30, short=short), Length(10 / 30, 30.0)
    assert shown(random_times(sampling, length, uniform()), 30) == expected
    for times in placed_times(sampling, length, 3, "spread"):
        assert shown(times, 30) == expected


def test_a_short_video_can_be_refused() -> None:
    sampling = Sampling(8, 4, 30, short="error")
    with pytest.raises(ValueError, match=r"it lasts 0\.33 s, less than the 0\.97 s of a clip"):
        random_times(sampling, Length(10 / 30, 30.0), uniform())
    random_times(sampling, Length(29 / 30, 30.0), uniform())  # one that just fits


@pytest.mark.parametrize("length", [Length(0.04, 25.0), Length(0.5, 10.0), Length(3600.0, 29.97), Length(10.0, 240.0)])
@pytest.mark.parametrize("kind", ["clip", "segments"])
@pytest.mark.parametrize("stretch", [False, True])
def test_times_are_always_within_the_video(length, kind, stretch) -> None:
    for short in ("pad", "loop"):
        sampling, draw = Sampling(8, 8, 30, kind, stretch, short), uniform()
        every = [random_times(sampling, length, draw, speed) for speed in (0.5, 1, 3)]
        every += placed_times(sampling, length, 3, "spread") + placed_times(sampling, length, 3, "segments")
        for times in every:
            assert len(times) == 8
            assert 0 <= min(times) <= max(times) < length.duration


def test_a_whole_video_at_test_time() -> None:
    """VTN: 250 frames, 25 per second of Kinetics' ten seconds."""
    [times] = placed_times(Sampling(250, 1, 25, "segments"), Length(10.0, 25.0), 1, "spread")
    assert shown(times, 25)[:3] == [0, 1, 2]
    assert len(set(shown(times, 25))) >= 249


@given(st.integers(1, 200), st.integers(2, 20), st.integers(1, 5), st.sampled_from([15.0, 29.97, 50.0]))
def test_clips_of_frames_of_the_file(count: int, frames: int, rate: int, fps: float) -> None:
    """Published code counts frames, at any rate: EchoNet's takes starts 0 to count - (frames - 1) * rate - 1."""
    sampling, length = Sampling(frames, rate, None, short="blank"), Length(count / fps, fps)
    clips = [shown(times, fps) for times in all_times(sampling, length, 1)]
    starts = range(max(1, count - (frames - 1) * rate))
    assert clips == [[start + rate * frame for frame in range(frames)] for start in starts]
    assert [shown(times, fps) for times in all_times(sampling, length, 3)] == clips[::3]
    draw = uniform()
    assert {tuple(shown(random_times(sampling, length, draw), fps)) for _ in range(50)} <= {*map(tuple, clips)}


def test_every_start_in_frames_of_the_file_is_as_likely() -> None:
    draw, sampling = uniform(), Sampling(3, 2, None)
    starts = [shown(random_times(sampling, Length(8 / 25, 25.0), draw), 25)[0] for _ in range(4000)]
    assert np.bincount(starts) == pytest.approx([1000] * 4, rel=0.15)


def test_segments_have_no_other_clips() -> None:
    sampling = Sampling(3, 2, None, "segments")
    assert all_times(sampling, TEN_SECONDS, 1) == placed_times(sampling, TEN_SECONDS, 1, "spread")
