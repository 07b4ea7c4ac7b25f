"""Pictures along frames: cells of one frame or of several, ribbons, timelines, and what is mistaken where."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.evaluation.along import MOST, Cells, class_colours, clock, shortened
from medvid.evaluation.frame_figures import draw_timelines, draw_values
from medvid.evaluation.phase_figures import draw_mistakes, draw_ribbon, taken_for
from medvid.evaluation.videos import Video
from medvid.plugin.info import UNKNOWN

NAMES = tuple(f"phase {number}" for number in range(30))


def seconds(count: int, rate: float = 1.0) -> Cells:
    return Cells.of(np.arange(count) / rate, "time_s")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4 * MOST), st.floats(0.1, 60))
def test_cells_hold_each_frame_once_and_lie_around_their_frames(count: int, rate: float) -> None:
    cells = seconds(count, rate)
    sizes = np.diff([*cells.starts, count])
    assert len(cells.starts) <= MOST
    assert (sizes > 0).all()
    assert len(cells.edges) == len(cells.starts) + 1
    assert cells.edges[0] < 0 < cells.edges[1]
    assert (np.diff(cells.edges) > 0).all()
    frames = np.random.default_rng(count).random(count)
    assert (cells.shares(frames) * sizes).sum() == pytest.approx(frames.sum())


def test_unknown_frames_count_in_no_cell() -> None:
    cells = seconds(2 * MOST)
    frames = np.zeros(2 * MOST)
    frames[1::2], frames[:2] = np.nan, np.nan
    assert np.isnan(cells.shares(frames)[0])
    assert (cells.shares(frames)[1:] == 0).all()


def test_each_class_has_one_colour_and_neighbours_differ_in_lightness() -> None:
    few, many = class_colours(8), class_colours(30)
    assert (class_colours(3) == few[:3]).all()
    assert len(np.unique(few, axis=0)) == 8
    assert len(np.unique(many, axis=0)) == 30
    lightness = many @ [0.299, 0.587, 0.114]
    assert np.abs(np.diff(lightness)).min() > 0.1


@pytest.mark.parametrize(
    ("time", "text"), [(0, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (3665, "1:01:05"), (-5, "-0:05"), (-0.2, "0:00")]
)
def test_times_are_minutes_and_seconds(time: float, text: str) -> None:
    assert clock(time) == text


def test_long_names_keep_the_ends_by_which_they_differ() -> None:
    long = [f"dissection of the gallbladder from its bed, part {number}" for number in range(3)]
    assert len({shortened(name) for name in long}) == 3
    assert shortened(NAMES[0]) == NAMES[0]


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (2, 1), (7, 4 * MOST), (30, 300)])
@pytest.mark.parametrize("known", [True, False])
def test_ribbons_name_the_classes_that_occur(
    texts: list[str], tmp_path: Path, count: int, frames: int, known: bool
) -> None:
    predicted = np.arange(frames) * count // frames
    truth = np.where(np.arange(frames) % 3 == 1, UNKNOWN, predicted) if known else None
    draw_ribbon(seconds(frames, 25), predicted, truth, NAMES[:count], "a video", tmp_path / "a.png")
    assert {name for name in NAMES if name in texts} == {NAMES[number] for number in np.unique(predicted)}
    assert ("truth" in texts, "wrong" in texts) == (known, known)
    assert ("unknown" in texts) == (known and frames > 1)


def test_a_video_without_annotation_is_drawn(tmp_path: Path) -> None:
    truth = np.full(5, UNKNOWN)
    assert draw_ribbon(seconds(5), np.zeros(5, int), truth, NAMES[:2], "", tmp_path / "a.png").is_file()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.integers(0, 1000))
def test_shares_along_runs_add_up_whatever_their_length(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.full(length, number % 3) for number, length in enumerate(lengths)])
    videos = [Video("a", truth, random.integers(3, size=len(truth)), 0, 1.0)]
    taken, runs = taken_for(videos, 3)
    assert runs.sum() == len(lengths)
    assert taken.sum(axis=2) == pytest.approx(np.where(runs > 0, 1.0, 0.0)[:, None].repeat(taken.shape[1], axis=1))


def test_late_transitions_show_at_the_start_of_runs(texts: list[str], tmp_path: Path) -> None:
    truth = np.repeat([0, 1], 100)
    late = np.repeat([0, 1], [120, 80])
    taken, _ = taken_for([Video("a", truth, late, 0, 1.0)], 2)
    assert taken[1, :10, 0].all()
    assert not taken[1, 10:, 0].any()
    draw_mistakes([Video("a", truth, late, 0, 1.0)], NAMES, tmp_path / "a.png")
    assert {"20% as phase 0", "never mistaken"} <= {*texts}  # thirty classes: in words too


def test_timelines_and_values_show_what_is_there(texts: list[str], tmp_path: Path) -> None:
    answers = np.random.default_rng(0).random((50, 40))
    truth = (answers > 0.5).astype(float)
    truth[:10] = np.nan
    draw_timelines(seconds(50), answers, truth, [f"tool {number}" for number in range(40)], "", tmp_path / "a.png")
    assert len({text for text in texts if text.startswith("tool ")}) == 30
    assert {"truth", "unknown"} <= {*texts}
    draw_timelines(seconds(50), answers[:, :1], None, ["hook"], "", tmp_path / "b.png")
    draw_values(seconds(50), np.arange(50), answers[:, :1], truth[:, :1], {"EF": "%"}, "", tmp_path / "c.png")
    assert "EF (%)" in texts
